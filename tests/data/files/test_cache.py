from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.data.files import cache


def _write(folder: Path, step: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.bin").write_bytes(b"12345")
    (folder / "b.bin").write_bytes(b"678")


def test_built_once_then_found(tmp_path: Path) -> None:
    calls: list[str] = []

    def build(folder: Path, step: str) -> None:
        calls.append(step)
        _write(folder, step)

    for _ in range(2):
        folder = cache.built(tmp_path / "c" / "x", {"k": 1}, build, "making x")
    assert calls == ["making x"]
    assert cache.check(folder) == ""
    assert cache.recorded(folder)["recipe"] == {"k": 1}
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


@pytest.mark.parametrize("damage", ["truncate", "remove", "add", "marker", "unmark"])
def test_damage_is_noticed_and_repaired(tmp_path: Path, damage: str) -> None:
    folder = cache.built(tmp_path / "x", {}, _write, "making x")
    if damage == "truncate":
        (folder / "sub" / "a.bin").write_bytes(b"123")
    elif damage == "remove":
        (folder / "b.bin").unlink()
    elif damage == "add":
        (folder / "c.bin").touch()
    elif damage == "marker":
        (folder / cache.MARKER).write_text('{"recipe": {}')
    else:
        (folder / cache.MARKER).unlink()
    assert cache.check(folder) != ""
    steps: list[str] = []

    def build(into: Path, step: str) -> None:
        steps.append(step)
        _write(into, step)

    cache.built(folder, {}, build, "making x")
    assert steps[0].startswith("making x again (")
    assert cache.check(folder) == ""
    assert sorted(p.name for p in folder.iterdir()) == ["b.bin", cache.MARKER, "sub"]


def test_key_depends_on_every_setting_and_on_order_in_lists() -> None:
    recipes = [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 2]}, {"a": 1, "b": [2, 1]}]
    assert len({cache.key(recipe) for recipe in recipes}) == 3
    assert cache.key({"a": 1, "b": 2}) == cache.key({"b": 2, "a": 1})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_refusing_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    def build(folder: Path, step: str) -> None:
        _write(folder, step)
        raise OSError(number, os.strerror(number))

    with pytest.raises(InputError, match=os.strerror(number)) as caught:
        cache.built(tmp_path / "x", {}, build, "making x")
    assert "another cache folder" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_failing_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path, step: str) -> None:
        _write(folder, step)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.built(tmp_path / "x", {}, build, "making x")
    assert list(tmp_path.iterdir()) == []


def test_cache_below_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        cache.built(tmp_path / "file" / "x", {}, _write, "making x")


def test_killed_build_is_not_read_as_whole(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from w2s_groups.data.files import cache\n"
        "def build(folder, step):\n"
        "    (folder / 'b.bin').write_bytes(b'6')\n"
        "    print('half', flush=True); time.sleep(60)\n"
        "cache.built(Path(sys.argv[1]) / 'x', {}, build, 'making x')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert cache.check(tmp_path / "x") != ""
    (left,) = tmp_path.iterdir()
    cache.built(tmp_path / "x", {}, _write, "making x")
    assert cache.check(tmp_path / "x") == ""
    assert left.exists()  # it may still be somebody's
    day_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (day_ago, day_ago))
    cache.built(tmp_path / "y", {}, _write, "making y")
    assert not left.exists()


def test_whoever_finishes_second_keeps_the_first(tmp_path: Path) -> None:
    def build(folder: Path, step: str) -> None:
        if not (tmp_path / "x").exists():
            cache.built(tmp_path / "x", {}, _write, "making x")
        _write(folder, step)

    cache.built(tmp_path / "x", {}, build, "making x")
    assert cache.check(tmp_path / "x") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
