"""What is listed must be a regular file: a pipe or a device would stop whoever reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.scan import images_below, require_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file, a link to one on another disk, a pipe, a link to a device, and a broken link."""
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.touch()
    inside = tmp_path / "set"
    inside.mkdir()
    (inside / "file.png").touch()
    (inside / "link.png").symlink_to(elsewhere)
    os.mkfifo(inside / "pipe.png")
    (inside / "device.png").symlink_to("/dev/zero")
    (inside / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (inside / "folder.png").mkdir()
    return inside


def test_links_to_files_are_followed(folder: Path) -> None:
    require_files(folder, ["file.png", "link.png"], "table.csv")


@pytest.mark.parametrize("name", ["pipe.png", "device.png", "broken.png", "folder.png"])
def test_what_is_not_a_regular_file_is_named(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"table.csv lists 1 images .* as regular files: {name}"):
        require_files(folder, ["file.png", name], "table.csv")


@pytest.mark.parametrize("name", ["pipe.png", "device.png", "broken.png"])
def test_a_folder_of_images_holds_regular_files(folder: Path, name: str) -> None:
    for other in {"pipe.png", "device.png", "broken.png"} - {name}:
        (folder / other).unlink()
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        images_below(folder.parent, "set")
    (folder / name).unlink()
    assert images_below(folder.parent, "set") == ["set/file.png", "set/link.png"]


def test_a_link_to_a_folder_above_is_refused_and_to_another_is_followed(tmp_path: Path) -> None:
    own, other = tmp_path / "data/set", tmp_path / "disk"
    own.mkdir(parents=True)
    other.mkdir()
    for folder in (own, other):
        (folder / "a.png").write_bytes(b"x")
    (own / "more").symlink_to(other)
    assert images_below(own.parent, "set") == ["set/a.png", "set/more/a.png"]
    for above in (own, own.parent):
        (own / "loop").symlink_to(above)
        with pytest.raises(InputError, match="loop is a link to a folder that it lies in"):
            images_below(own.parent, "set")
        (own / "loop").unlink()
