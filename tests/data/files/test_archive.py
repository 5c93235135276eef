"""Archives are checked, unpacked whole or not at all, and only once."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from layouts import MAKE, config, waterbirds
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash
from w2s_groups.data import DATASETS
from w2s_groups.data.files import archive
from w2s_groups.data.files.archive import unpacked
from w2s_groups.data.ondisk import OnDisk

KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]


def _pack(path: Path, members: dict[str, bytes], link: str = "") -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, data in members.items():
                out.writestr(name, data)
            if link:
                info = zipfile.ZipInfo("link")
                info.external_attr = 0o120777 << 16
                out.writestr(info, link)
        return path
    mode = "w" if path.suffix == ".tar" else f"w:{path.suffix[1:]}"
    with tarfile.open(path, mode) as out:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            out.addfile(info)
    return path


def _unpacked(path: Path, cache: Path) -> Path:
    return unpacked(path, cache, lambda step, done, total: None)


@pytest.mark.parametrize("kind", KINDS)
def test_once_and_whole(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = _pack(tmp_path / f"a.{kind}", {"b/c.txt": b"12", "b/d/e.txt": b"3"})
    folder = _unpacked(packed, tmp_path / "cache")
    assert (folder / "b/c.txt").read_bytes() == b"12"
    assert (folder / "b/d/e.txt").read_bytes() == b"3"
    monkeypatch.setattr(archive, "_unpack", None)
    assert _unpacked(packed, tmp_path / "cache") == folder


def test_a_dataset_in_its_archive(tmp_path: Path) -> None:
    folder = waterbirds(tmp_path / "from")
    with tarfile.open(tmp_path / "w.tar.gz", "w:gz") as out:
        out.add(folder, folder.name)
    dataset = config("waterbirds", archive=str(tmp_path / "w.tar.gz"), check_counts=False).load(
        tmp_path / "cache"
    )
    assert (dataset.root / dataset.files[0]).is_file()
    assert dataset.root.is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize("around", ["", "mine/", "one/two/"])
@pytest.mark.parametrize("name", list(MAKE))
def test_a_folder_around_everything_is_entered(tmp_path: Path, name: str, around: str) -> None:
    if not issubclass(DATASETS[name], OnDisk):
        return
    made = MAKE[name](tmp_path / "from")
    root = Path(made.pop("root"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("__MACOSX/._x", b"")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                out.write(path, f"{around}{path.relative_to(root)}")
    whole = config(name, root=str(root), **made).load(tmp_path / "cache")
    found = config(name, archive=str(tmp_path / "a.zip"), **made).load(tmp_path / "cache")
    assert found.files == whole.files
    assert_array_equal(found.codes, whole.codes)


def test_only_a_lone_folder_is_entered(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        for folder in ("one", "two"):
            out.writestr(f"{folder}/metadata.csv", "filename,split,y,a\n")
    with pytest.raises(InputError, match=r"data\.table=.*metadata\.csv does not exist"):
        config("metadata_csv", archive=str(tmp_path / "a.zip")).load(tmp_path / "cache")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\b", "C:/x"])
def test_members_outside(tmp_path: Path, kind: str, name: str) -> None:
    packed = _pack(tmp_path / f"a.{kind}", {"good": b"1", name: b"2"})
    with pytest.raises(InputError, match=r"would land outside the folder"):
        _unpacked(packed, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("good"))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_links(tmp_path: Path, kind: str) -> None:
    packed = _pack(tmp_path / f"a.{kind}", {"good": b"1"}, link="/etc")
    with pytest.raises(InputError, match="'link' is a link or a device"):
        _unpacked(packed, tmp_path / "cache")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_twice(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("x", b"1")
            out.writestr("x", b"2")
    else:
        with tarfile.open(path, "w") as tar:
            for _ in range(2):
                tar.addfile(tarfile.TarInfo("x"))
    with pytest.raises(InputError, match="holds x twice"):
        _unpacked(path, tmp_path / "cache")


@pytest.mark.parametrize("kind", KINDS)
def test_cut_short(tmp_path: Path, kind: str) -> None:
    data = hashlib.shake_256(b"w2s").digest(50_000)  # does not compress
    packed = _pack(tmp_path / f"a.{kind}", {"x": data, "y": data})
    whole = packed.read_bytes()
    for share in (0.02, 0.5, 0.9):
        packed.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="fetch the file again"):
            _unpacked(packed, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_altered_bytes(tmp_path: Path) -> None:
    data = hashlib.shake_256(b"w2s").digest(50_000)
    packed = _pack(tmp_path / "a.zip", {"x": data})
    raw = bytearray(packed.read_bytes())
    raw[20_000] ^= 255
    packed.write_bytes(raw)
    with pytest.raises(InputError, match=r"Bad CRC-32.*fetch the file again"):
        _unpacked(packed, tmp_path / "cache")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>Virus scan warning</html>", "is a web page"),
        (b'<?xml version="1.0"?><Error/>', "is a web page"),
        (b"just text", "cannot be unpacked as a zip or tar file"),
        (b"\x1f\x8b rest", "cannot be unpacked as a zip or tar file"),
    ],
)
def test_no_archive(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=f"{message}.*fetch the file again"):
        _unpacked(tmp_path / "a.zip", tmp_path / "cache")
    with pytest.raises(InputError, match=r"data\.archive=.* is not a file"):
        _unpacked(tmp_path / "b.zip", tmp_path / "cache")


def test_checksum_beside_it(tmp_path: Path) -> None:
    packed = _pack(tmp_path / "a.tar", {"x": b"1"})
    digest = content_hash(packed)
    beside = tmp_path / "a.tar.sha256"
    beside.write_text(f"{digest}  a.tar\n")
    assert _unpacked(packed, tmp_path / "cache").is_dir()
    beside.write_text(f"{digest[::-1]}  a.tar\n")
    with pytest.raises(InputError, match=f"has sha256 {digest} and a.tar.sha256 states"):
        _unpacked(packed, tmp_path / "cache")
    beside.write_text("")
    with pytest.raises(InputError, match="states nothing"):
        _unpacked(packed, tmp_path / "cache")


def test_a_stopped_unpacking_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = _pack(tmp_path / "a.tar", {"x": b"1", "y": b"2"})

    def stop(step: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpacked(packed, tmp_path / "cache", stop)
    assert not list((tmp_path / "cache/archives").iterdir())
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(InputError, match="unpacks to 0 MB and the cache folder has 0 MB free"):
        _unpacked(packed, tmp_path / "cache")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "members", [{"a": b"1", "a/b": b"2"}, {"a/b": b"1", "a": b"2"}, {"y" * 300: b"1"}],
    ids=["file, then folder", "folder, then file", "300 characters"],
)  # fmt: skip
def test_names_that_this_file_system_cannot_have(
    tmp_path: Path, kind: str, members: dict[str, bytes]
) -> None:
    packed = _pack(tmp_path / f"a.{kind}", members)
    with pytest.raises(InputError, match=r"its member '\w+' cannot be unpacked here"):
        _unpacked(packed, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "archives").glob("*/*"))
