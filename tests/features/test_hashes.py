"""Hashes of images: from the index where a file has not changed, from its bytes where it has."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from w2s_groups.features import hashes
from w2s_groups.features.compute import UNREADABLE

FILES = [f"{k}.jpg" for k in range(6)]
LONG_AGO = time.time_ns() - 3600 * 10**9


def write(path: Path, text: str, at: int = LONG_AGO) -> None:
    """In place, with a time of its own."""
    path.write_text(text)
    os.utime(path, ns=(at, at))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for k, file in enumerate(FILES):
        write(folder / file, f"image {k}")
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed, in their order."""
    names: list[str] = []
    hashed = hashes._hashed
    monkeypatch.setattr(
        hashes, "_hashed", lambda path: names.append(Path(path).name) or hashed(path)
    )
    return names


def contents(root: Path, **settings: object) -> list[str]:
    more = {"files": FILES, "index": root.parent / "hashes", **settings}
    found = hashes.contents(root, **more)  # type: ignore[arg-type]
    assert isinstance(found, list)
    return found


def exact(root: Path, files: list[str] = FILES) -> list[str]:
    return [hashlib.sha256((root / file).read_bytes()).hexdigest() for file in files]


def test_a_file_that_has_not_changed_is_read_once(root: Path, read: list[str]) -> None:
    assert contents(root) == exact(root)
    assert sorted(read) == FILES
    read.clear()
    assert contents(root) == exact(root)
    assert contents(root, files=FILES[::-1]) == exact(root)[::-1]
    assert read == []
    assert contents(root, index=None) == exact(root)
    assert sorted(read) == FILES


def renamed(path: Path) -> None:
    """Another file of the same size and time in its place: the inode differs."""
    write(path.with_name("new"), "image X")
    path.with_name("new").replace(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "size": lambda path: write(path, "another image"),
    "time": lambda path: write(path, "image X", LONG_AGO + 1),
    "older": lambda path: write(path, "image X", LONG_AGO - 1),
    "inode": renamed,
}


@pytest.mark.parametrize("how", list(CHANGES))
def test_a_changed_file_is_read_again_and_no_other(root: Path, read: list[str], how: str) -> None:
    contents(root)
    CHANGES[how](root / "3.jpg")
    for again in (["3.jpg"], []):
        read.clear()
        assert contents(root) == exact(root)
        assert read == again


def test_a_restored_time_is_noticed_by_verify_full_only(root: Path, read: list[str]) -> None:
    before = contents(root)
    write(root / "3.jpg", "image X")
    assert contents(root) == before  # the price of not reading, which the documentation states
    read.clear()
    assert contents(root, verify="full") == exact(root) != before
    assert sorted(read) == FILES
    assert contents(root) == exact(root)  # the index is mended


@pytest.mark.parametrize("seconds", [0, hashes.RACY - 2, -3600])
def test_a_file_changed_just_now_or_in_the_future_is_not_trusted(
    root: Path, read: list[str], seconds: int
) -> None:
    now = time.time_ns() - seconds * 10**9
    write(root / "3.jpg", "image X", now)
    contents(root)
    write(root / "3.jpg", "image Y", now)  # within the tick of a clock: the same size and time
    read.clear()
    assert contents(root) == exact(root)
    assert read == ["3.jpg"]


def test_a_file_that_changes_while_it_is_hashed_is_not_trusted(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.file_digest

    def meanwhile(file: object, name: str) -> object:
        found = digest(file, name)  # type: ignore[arg-type]
        write(root / "3.jpg", "image X", LONG_AGO + 1)
        return found

    monkeypatch.setattr(hashlib, "file_digest", meanwhile)
    contents(root, files=["3.jpg"])
    monkeypatch.undo()
    assert contents(root, files=["3.jpg"]) == exact(root, ["3.jpg"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-72])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("damage", [cut, flipped, pipe, linked, lambda path: path.write_bytes(b"")])
def test_a_damaged_index_is_said_and_everything_is_hashed(
    root: Path, read: list[str], damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    contents(root)
    (path,) = (root.parent / "hashes").iterdir()
    damage(path)
    write(root / "3.jpg", "image X")
    for again, lines in ((FILES, 1), ([], 0)):
        read.clear()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert contents(root) == exact(root)
        assert sorted(read) == again
        assert len(caplog.records) == lines


def test_what_cannot_be_read_is_never_in_the_index(root: Path) -> None:
    write(root / "1.jpg", "")
    (root / "2.jpg").unlink()
    (root / "3.jpg").unlink()
    (root / "3.jpg").mkdir()
    for _ in range(2):
        found = contents(root)
        assert found[1:4] == [
            f"{UNREADABLE}{why}" for why in ("empty file", "missing", "Is a directory")
        ]
    write(root / "2.jpg", "image 2")
    assert contents(root)[2] == exact(root, ["2.jpg"])[0]


def test_the_index_keeps_a_bounded_number_of_other_files(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "OTHERS", 2)
    contents(root, files=FILES[:4])
    contents(root, files=FILES[4:])
    (path,) = (root.parent / "hashes").iterdir()
    assert path.stat().st_size == 32 + 72 * 4  # two of the last list, two others
    read.clear()
    assert contents(root) == exact(root)
    assert len(read) == 2


def test_two_folders_have_an_index_each(root: Path, tmp_path: Path, read: list[str]) -> None:
    other = tmp_path / "others"
    other.mkdir()
    for file in FILES:
        write(other / file, "image ?")
    assert contents(root) == exact(root)
    assert contents(other) == exact(other)
    read.clear()
    assert contents(root) == exact(root)
    assert read == []


def test_an_index_that_cannot_be_written_stops_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root.parent / "hashes").touch()
    with caplog.at_level(logging.WARNING):
        assert contents(root) == exact(root)
    assert "every image is read again" in caplog.text


def test_keys_that_share_64_bits_are_told_apart(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is searched by half of a path's hash and compared by all of it."""
    keys = hashes._keys

    def alike(files: list[str]) -> np.ndarray:
        found = keys(files).copy()
        found[:, 0] = 7
        return found

    monkeypatch.setattr(hashes, "_keys", alike)
    for _ in range(2):
        assert contents(root) == exact(root)
