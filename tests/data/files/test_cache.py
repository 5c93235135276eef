from __future__ import annotations

import errno
import json
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


@pytest.mark.parametrize("name", ["t.csv", "p.png"])
def test_other_content_of_the_same_size_is_noticed(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def build(folder: Path, step: str) -> None:
        (folder / name).write_bytes(b"01")

    folder = cache.built(tmp_path / "x", {}, build, "making x")
    (folder / name).touch()  # a new time with the same content
    assert cache.check(folder) == ""
    (folder / name).write_bytes(b"10")
    cache.built(folder, {}, build, "making x")
    assert (folder / name).read_bytes() == b"01"
    (said,) = caplog.messages
    assert f"{folder} is not used and made again: the content of its" in said


def test_a_table_is_read_whatever_its_time_says(tmp_path: Path) -> None:
    folder = cache.built(tmp_path / "x", {}, _write, "making x")
    table = folder / "b.bin"
    times = (table.stat().st_atime_ns, table.stat().st_mtime_ns)
    table.write_bytes(b"679")
    os.utime(table, ns=times)
    assert cache.check(folder) == "the content of its tables was altered"


def test_a_pipe_in_the_place_of_an_empty_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = cache.built(tmp_path / "x", {}, lambda at, _: (at / "e").touch(), "making x")
    (folder / "e").unlink()
    os.mkfifo(folder / "e")
    assert cache.check(folder) == "its files were altered"


def test_a_folder_of_an_older_version_states_its_content_from_its_next_use(tmp_path: Path) -> None:
    folder = cache.built(tmp_path / "x", {"k": 1}, _write, "making x")
    stated = cache.recorded(folder)
    old = {name: stated[name] for name in ("recipe", "sizes")}
    (folder / cache.MARKER).write_text(json.dumps(old))
    cache.built(folder, {"k": 1}, _write, "making x")
    assert cache.recorded(folder) == stated


def test_an_error_of_the_disk_makes_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    folder = cache.built(tmp_path / "x", {}, _write, "making x")
    monkeypatch.setattr(cache, "content_hash", refused)
    with pytest.raises(InputError, match="cannot be read"):
        cache.built(folder, {}, _write, "making x")
    assert (folder / "b.bin").exists()


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
