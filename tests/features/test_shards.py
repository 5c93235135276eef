"""Matrices in shards: resumed after a kill, taken side by side, checked, and assembled."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from w2s_groups.backbones import get_backbone
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.features import assembled, cache, extraction, known, shards
from w2s_groups.features.compute import Items, Run

SPEC, SIZE, N, ROWS = "packaged/squeezenet1_1", 64, 14, 4
FILES = [f"{i:02d}.jpg" for i in range(N)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROWS", ROWS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, file in enumerate(FILES):
        coarse = stream(i, "test/shards").integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE)).save(folder / file)
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that go to the network."""
    names: list[str] = []
    pixels = extraction._pixels
    monkeypatch.setattr(
        extraction, "_pixels", lambda path, *more: names.append(path.name) or pixels(path, *more)
    )
    return names


def work(root: Path, files: list[str] = FILES, batch_size: int = 3) -> tuple[Items, Run]:
    backbone = get_backbone(SPEC, SIZE)
    run = extraction.run_of(backbone, "cpu", "float32", batch_size, 2, False, "stop")
    return extraction.images(root, files, backbone, extraction.contents(root, files)), run


def extract(root: Path, folder: Path, files: list[str] = FILES) -> NDArray[np.float32]:
    return extraction.extracted(*work(root, files), folder, "skip").matrix


def payload(folder: Path) -> bytes:
    (path,) = folder.rglob("*.npy")  # shards are gone
    return path.read_bytes()


def test_a_matrix_is_the_file_that_numpy_writes(root: Path, tmp_path: Path) -> None:
    matrix = extract(root, tmp_path / "cache")
    assert matrix.shape == (N, 512)
    np.save(tmp_path / "x.npy", matrix)
    assert payload(tmp_path / "cache") == (tmp_path / "x.npy").read_bytes()
    assert [path.suffix for path in (tmp_path / "cache").rglob("*.json")] == [".json"]


def test_shards_lie_side_by_side_and_travel(root: Path, tmp_path: Path) -> None:
    items, run = work(root)
    parts = shards.cut(items, run, tmp_path / "cache")
    assert [row for shard in parts for row in shard.rows] == list(range(N))
    assert {len(shard.rows) for shard in parts[:-1]} == {ROWS}
    assert len({shard.key for shard in parts}) == len(parts)
    assert pickle.loads(pickle.dumps(parts)) == parts
    assert shards.missing(parts) == parts
    assert shards.make(items, run, parts[1]) == {}
    assert shards.missing(parts) == [parts[0], *parts[2:]]


def test_parts_of_a_job_array_leave_nothing_to_compute(
    root: Path, tmp_path: Path, decoded: list[str]
) -> None:
    items, run = work(root)
    parts = shards.cut(items, run, tmp_path / "cache")
    for k in (1, 2, 3):
        shards.take(items, run, parts, part=(k, 3))
        assert {s.number for s in parts if s not in shards.missing(parts)} == {
            number for number in range(len(parts)) if number % 3 < k
        }
    assert sorted(decoded) == FILES
    decoded.clear()
    extract(root, tmp_path / "cache")
    assert decoded == []
    assert shards.missing(parts) == []  # the matrix has them
    shards.take(items, run, parts)
    assert payload(tmp_path / "cache") == payload_of(root, tmp_path / "other")


def payload_of(root: Path, folder: Path, files: list[str] = FILES) -> bytes:
    extract(root, folder, files)
    return payload(folder)


def test_bits_do_not_depend_on_what_was_known_or_bad(root: Path, tmp_path: Path) -> None:
    exact = np.array(extract(root, tmp_path / "exact"))
    extract(root, tmp_path / "cache", FILES[1::2])
    assert np.array_equal(extract(root, tmp_path / "cache"), exact)
    (root / FILES[4]).write_bytes(b"no image")
    others = np.delete(np.arange(N), 4)
    assert np.array_equal(extract(root, tmp_path / "bad")[others], exact[others])
    assert np.isnan(extract(root, tmp_path / "bad")[4]).all()


SCRIPT = """
import os, sys, time
from pathlib import Path
from w2s_groups.backbones import get_backbone
from w2s_groups.features import extraction, shards

shards.ROWS = 4
root, cache, pause, others = Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:])
pixels = extraction._pixels

def slow(path, *more):
    os.write(1, f"{os.getpid()} {path.name}\\n".encode())  # at once, whatever thread it is
    time.sleep(pause)
    return pixels(path, *more)

extraction._pixels = slow
files = sorted(path.name for path in root.iterdir())
backbone = get_backbone("packaged/squeezenet1_1", 64)
backbone.network
print("ready", flush=True)
sys.stdin.readline()
children = []
while len(children) < others and 0 not in children:
    children.append(os.fork())
extraction.extract(root, files, backbone, cache, batch_size=3, workers=2)
if 0 not in children:
    sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def started(root: Path, folder: Path, pause: float, others: int) -> subprocess.Popen[str]:
    """A process that waits for a line, forks, and says its id and each image before it reads it."""
    command = [sys.executable, "-c", SCRIPT, str(root), str(folder), str(pause), str(others)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_killed_extraction_goes_on_at_the_last_shard(
    root: Path, tmp_path: Path, decoded: list[str]
) -> None:
    folder = tmp_path / "cache"
    process = started(root, folder, 0.1, others=0)
    go(process)
    deadline = time.monotonic() + 60
    while len(list(folder.rglob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    items, run = work(root)
    left = shards.missing(shards.cut(items, run, folder))
    assert 0 < len(left) <= 2
    extract(root, folder)
    assert sorted(decoded) == [FILES[row] for shard in left for row in shard.rows]
    assert payload(folder) == payload_of(root, tmp_path / "other")


def test_processes_side_by_side_compute_each_shard_once(root: Path, tmp_path: Path) -> None:
    process = started(root, tmp_path / "cache", 0.2, others=2)
    go(process)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    said = [line.split() for line in output.splitlines()]
    assert sorted(name for _, name in said) == FILES
    assert len({number for number, _ in said}) == 3  # they did work side by side
    assert payload(tmp_path / "cache") == payload_of(root, tmp_path / "other")


def test_a_shard_of_a_live_process_is_waited_for_and_then_taken_over(
    root: Path, tmp_path: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    items, run = work(root)
    parts = shards.cut(items, run, tmp_path / "cache")
    parts[2].folder.mkdir(parents=True)
    with caplog.at_level(logging.INFO):
        with FileLock(parts[2].folder / f"{parts[2].key}.lock"):
            thread = threading.Thread(target=shards.take, args=(items, run, parts))
            thread.start()
            deadline = time.monotonic() + 60
            while "waiting" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.01)
            assert shards.missing(parts) == [parts[2]]
            assert thread.is_alive()
        thread.join(timeout=60)
    assert shards.missing(parts) == []
    assert sorted(decoded) == FILES
    assert "at work on 1 shards of images" in caplog.text


def reseal(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """A sidecar with other content and the right hash of it."""
    stored = json.loads(path.read_text())["sidecar"]
    change(stored)
    text = json.dumps(stored, sort_keys=True)
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "sidecar": stored}
    path.write_text(json.dumps(sealed))


def damage(how: str, own: Path, other: Path, victim: Path) -> None:
    """Of the shard with the sidecar `own`: its files, or what they say."""
    matrix, others = (next(p.parent.glob(f"{p.stem}-*.npy")) for p in (own, other))
    data = matrix.read_bytes()
    if how == "cut":
        matrix.write_bytes(data[:-7])
    elif how == "altered":
        matrix.write_bytes(data[:-4] + b"\x01\x02\x03\x04")
    elif how == "gone":
        matrix.unlink()
    elif how == "empty sidecar":
        own.write_bytes(b"")
    elif how == "swapped matrix":
        shutil.copy(others, matrix)
    elif how == "swapped sidecar":
        shutil.copy(other, own)
    elif how == "of other images":
        reseal(own, lambda stored: stored.update(images=stored["images"][::-1]))  # type: ignore[index]
    elif how == "other width":
        narrow = np.ascontiguousarray(np.load(matrix)[:, :5])
        images = json.loads(own.read_text())["sidecar"]["images"]
        cache.write(own.parent, own.stem, narrow, images, {}, {})
    elif how == "outside":
        sha256 = hashlib.sha256(victim.read_bytes()).hexdigest()
        reseal(own, lambda stored: stored.update(payload="../../../../victim.npy", sha256=sha256))
    elif how == "link":
        matrix.unlink()
        matrix.symlink_to(victim)


DAMAGES = (
    *("cut", "altered", "gone", "empty sidecar", "swapped matrix", "swapped sidecar"),
    *("of other images", "other width", "outside", "link"),
)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_shard_is_made_again_and_no_other(
    root: Path, tmp_path: Path, decoded: list[str], how: str
) -> None:
    folder, victim = tmp_path / "cache", tmp_path / "victim.npy"
    np.save(victim, np.zeros((ROWS, 512), dtype=np.float32))
    items, run = work(root)
    parts = shards.cut(items, run, folder)
    shards.take(items, run, parts)
    decoded.clear()
    damage(how, *(shard.folder / f"{shard.key}.json" for shard in parts[1:3]), victim)
    before = victim.read_bytes()
    extract(root, folder)
    assert sorted(decoded) == [FILES[row] for row in parts[1].rows]
    assert payload(folder) == payload_of(root, tmp_path / "other")
    assert victim.read_bytes() == before


def test_shards_that_another_data_set_has_taken_away_are_found_in_its_matrix(
    root: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two data sets that begin alike share shards; the first to be whole removes them."""
    folder, take = tmp_path / "cache", shards.take

    def meanwhile(*more: object) -> None:
        take(*more)  # type: ignore[arg-type]
        monkeypatch.setattr(shards, "take", take)
        extract(root, folder, FILES[: 2 * ROWS])

    monkeypatch.setattr(shards, "take", meanwhile)
    longer = np.array(extract(root, folder))
    assert sorted(decoded) == FILES
    assert np.array_equal(longer, extract(root, tmp_path / "other"))


def test_a_cache_that_keeps_no_shard_is_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "read", lambda *_: None)
    with pytest.raises(InputError, match="does not keep what is written"):
        extract(root, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(".*.tmp"))


def test_the_disk_needs_room_for_the_shards_and_the_matrix(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    usage, one = shutil.disk_usage(tmp_path), (512 * 4 + 80) * N
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=2 * one - 1))
    with pytest.raises(InputError, match="free some space"):
        extract(root, tmp_path / "cache")
    assert decoded == []
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=2 * one))
    assert len(extract(root, tmp_path / "cache")) == N


def test_assembly_holds_a_shard_at_a_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS", 200)
    items, run = work(root)
    assert run.encoder.width == 512  # the network is in memory, too
    content = [f"{k:064x}" for k in range(8000)]
    many = Items("image", "", [""] * len(content), content, items.load)
    rng = np.random.default_rng(0)
    for shard in shards.cut(many, run, tmp_path / "cache"):
        part = rng.standard_normal((len(shard.rows), 512), dtype=np.float32)
        cache.write(shard.folder, shard.key, part, content[shard.rows[0] :][: len(part)], {}, {})
    tracemalloc.start()
    matrix, _ = assembled.matrix(many, run, tmp_path / "cache")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The sidecar lists a hash a row, in memory a few times; the matrix takes 2048 bytes a row.
    assert peak < 0.4 * matrix.nbytes
    assert np.array_equal(matrix[-len(part) :], part)


def test_matrices_without_a_wanted_row_are_not_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that were written before there was an index."""
    for files in (FILES[:3], FILES[3:6]):
        extract(root, tmp_path / "cache", files)
    assert not list((tmp_path / "cache").rglob("*.index"))[2:]
    (folder,) = (tmp_path / "cache" / "features").iterdir()
    wanted = extraction.contents(root, FILES[4:8])
    exact = extract(root, tmp_path / "exact", FILES[4:6])
    read: list[Path] = []
    hashed = cache.content_hash
    monkeypatch.setattr(cache, "content_hash", lambda path: read.append(path) or hashed(path))
    known._checked.cache_clear()
    for _ in range(3):  # as shards ask, one after another
        found = known.features(folder, set(wanted))
        assert found.keys() == set(wanted[:2])
        assert all(np.array_equal(found[wanted[k]], exact[k]) for k in range(2))
    assert len(read) == 1


@pytest.mark.parametrize("how", ["cut", "wrong rows", "beyond", "pipe", "empty", "unsorted"])
def test_a_wrong_index_of_a_matrix_gives_no_wrong_row(root: Path, tmp_path: Path, how: str) -> None:
    extract(root, tmp_path / "cache", FILES[:6])
    extract(root, tmp_path / "cache", FILES[5:8])  # makes the index of the first
    path = next(path for path in (tmp_path / "cache").rglob("*.index") if path.stat().st_size == 96)
    entries = np.fromfile(path, dtype="<u8").reshape(2, -1)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif how == "wrong rows":
        entries[1] = (entries[1] + 1) % 6
    elif how == "beyond":
        entries[1] += np.uint64(2**63)
    elif how == "unsorted":
        entries = entries[:, ::-1]
    if how == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "empty":
        path.write_bytes(b"")
    elif how != "cut":
        np.ascontiguousarray(entries).tofile(path)
    assert np.array_equal(extract(root, tmp_path / "cache"), extract(root, tmp_path / "other"))
