"""Feature matrices: right, cached by content, verified, and safe against whatever goes wrong."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from w2s_groups.backbones import get_backbone
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.features import cache, extraction

SPEC, SIZE, N = "packaged/squeezenet1_1", 64, 12


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(N):
        coarse = stream(i, "test/images").integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE)).save(folder / f"{i}.jpg")
    return folder


FILES = [f"{i}.jpg" for i in range(N)]


def extract(root: Path, cache: Path, **changes: object) -> extraction.Features:
    spec = changes.pop("spec", SPEC)
    size = changes.pop("size", SIZE)
    files = changes.pop("files", FILES)
    backbone = get_backbone(str(spec), int(str(size)))
    settings = {"batch_size": 5, "workers": 2, **changes}
    return extraction.extract(root, files, backbone, cache, **settings)  # type: ignore[arg-type]


def test_rows_are_the_networks_features_in_the_order_of_the_files(
    root: Path, tmp_path: Path
) -> None:
    found = extract(root, tmp_path / "cache")
    backbone = get_backbone(SPEC, SIZE)
    for i, file in enumerate(FILES):
        with Image.open(root / file) as image, torch.inference_mode():
            expected = backbone.network(backbone.preprocess(image)[None]).numpy()[0]
        np.testing.assert_allclose(
            found.matrix[i], expected, rtol=0, atol=1e-5 * np.abs(expected).max()
        )


def test_second_time_from_the_cache_memory_mapped_and_read_only(root: Path, tmp_path: Path) -> None:
    first, second = (extract(root, tmp_path / "cache") for _ in range(2))
    assert not first.from_cache
    assert second.from_cache
    assert isinstance(second.matrix, np.memmap)
    assert np.array_equal(first.matrix, second.matrix)
    with pytest.raises(ValueError, match="read-only"):
        second.matrix[0, 0] = 1


def test_batch_size_and_workers_do_not_matter(root: Path, tmp_path: Path) -> None:
    reference = extract(root, tmp_path / "0").matrix
    again = extract(root, tmp_path / "1", workers=1).matrix
    assert np.array_equal(reference, again)  # the same batches: the same bits
    for batch_size in (1, 12):
        other = extract(root, tmp_path / f"b{batch_size}", batch_size=batch_size).matrix
        scale = np.abs(reference).max(axis=1, keepdims=True)
        assert (np.abs(other - reference) <= 1e-5 * scale).all()


def test_key_follows_content_transform_and_network_and_nothing_else(
    root: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    key = extract(root, cache).key
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    os.utime(moved / "0.jpg", (0, 0))
    assert extract(moved, cache).key == key
    assert extract(moved, cache).from_cache
    keys = {
        key,
        extract(root, cache, size=SIZE + 32).key,
        extract(root, cache, spec="packaged/efficientnet_lite0").key,
        extract(root, cache, spec="torchvision/squeezenet1_1@none").key,
        extract(root, cache, files=FILES[::-1]).key,
    }
    keys.add(extract(root, cache, precision="bfloat16").key)
    Image.new("RGB", (SIZE, SIZE)).save(root / "0.jpg")
    keys.add(extract(root, cache).key)
    assert len(keys) == 7


@pytest.mark.parametrize("precision", list(extraction.TOLERANCE))
@pytest.mark.parametrize("spec", ["torchvision/resnet18@none", "timm/test_vit@none"])
def test_batch_size_and_precision_keep_the_stated_tolerance(
    root: Path, tmp_path: Path, spec: str, precision: str
) -> None:
    """A convolutional network and a vision transformer."""
    pytest.importorskip("timm")
    exact = extract(root, tmp_path / "exact", spec=spec).matrix
    scale = np.abs(exact).max(axis=1, keepdims=True)
    tolerance = extraction.TOLERANCE[precision]
    five, one, twelve = (
        extract(root, tmp_path / f"{b}", spec=spec, precision=precision, batch_size=b).matrix
        for b in (5, 1, 12)
    )
    for other in (one, twelve, exact):
        assert (np.abs(other - five) <= tolerance * scale).all()
    # What was asked for was done: bfloat16 leaves 8 bits of each product.
    assert (np.abs(five - exact).max() > 1e-5 * scale.min()) == (precision != "float32")


def test_auto_is_the_best_device_and_gives_the_same_key(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert extraction.best_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert extraction.best_device("auto") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert extraction.best_device("auto") == "cpu"
    key = extract(root, tmp_path / "cache").key
    auto = extract(root, tmp_path / "cache", device="auto")
    assert auto.from_cache
    assert auto.key == key


def test_asking_for_the_width_first_leaves_parameters_that_a_gpu_can_use() -> None:
    backbone = get_backbone(SPEC, SIZE)
    assert backbone.width > 0
    assert not any(p.is_inference() for p in backbone.network.parameters())


OVERFLOWS = """
from torch import nn

def network():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(net[0].weight, 1e5)
    return net
"""


def test_overflow_is_said_and_nothing_is_stored(root: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(OVERFLOWS)
    spec = f"module/{tmp_path}/net.py:network"
    with pytest.raises(InputError, match=r"not finite for .*float16; set precision=bfloat16"):
        extract(root, tmp_path / "cache", spec=spec, precision="float16")
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert np.isfinite(extract(root, tmp_path / "cache", spec=spec).matrix).all()


@pytest.mark.parametrize(
    "damage", ["payload cut", "payload altered", "sidecar cut", "payload gone"]
)
def test_damaged_cache_is_noticed_said_once_and_built_again(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    cache = tmp_path / "cache"
    good = np.array(extract(root, cache).matrix)
    what, _, how = damage.partition(" ")
    path = next(cache.rglob("*.npy" if what == "payload" else "*.json"))
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-7] if how == "cut" else data[:-4] + b"\x01\x02\x03\x04")
    with caplog.at_level(logging.WARNING):
        again = extract(root, cache)
    assert not again.from_cache
    assert np.array_equal(again.matrix, good)
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert extract(root, cache).from_cache


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("kind", [".npy", ".json"])
def test_an_error_of_the_disk_takes_nothing_away(
    root: Path, tmp_path: Path, number: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    good = np.array(extract(root, folder).matrix)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    opened = io.open

    def refused(file: object, *more: object, **named: object) -> object:
        if str(file).endswith(kind) and str(file).startswith(str(folder)):
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *more, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(io, "open", refused)
    with pytest.raises(InputError, match="left as they are: try again"):
        extract(root, folder)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in before} == before
    again = extract(root, folder)
    assert again.from_cache
    assert np.array_equal(again.matrix, good)


def test_other_features_that_cannot_be_read_stop_no_extraction(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extract(root, tmp_path / "cache", files=FILES[:6])
    (first,) = (tmp_path / "cache").rglob("*.npy")
    hashed = cache.content_hash

    def refused(path: Path) -> str:
        if path == first:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return hashed(path)

    monkeypatch.setattr(cache, "content_hash", refused)
    assert np.isfinite(extract(root, tmp_path / "cache").matrix).all()
    assert first.exists()
    assert "its rows are computed" in caplog.text


@pytest.mark.parametrize("how", ["parent", "absolute", "link", "linked sidecar", "pipe", "rows"])
def test_a_crafted_sidecar_neither_reads_nor_removes_another_file(
    root: Path, tmp_path: Path, how: str
) -> None:
    """All hashes are right, as whoever wrote it could make them."""
    first = extract(root, tmp_path / "cache")
    good = np.array(first.matrix)
    (sidecar,) = (tmp_path / "cache").rglob("*.json")
    payload = next(sidecar.parent.glob("*.npy"))
    victim = tmp_path / "victim.npy"
    np.save(victim, np.zeros_like(good))
    stored = json.loads(sidecar.read_text())["sidecar"]
    if how in ("parent", "absolute"):
        stored["sha256"] = hashlib.sha256(victim.read_bytes()).hexdigest()
        stored["payload"] = str(victim if how == "absolute" else Path("../../..") / victim.name)
    elif how == "link":
        stored["sha256"] = hashlib.sha256(victim.read_bytes()).hexdigest()
        stored["payload"] = f"{sidecar.stem}-{stored['sha256'][:16]}.npy"
        (sidecar.parent / stored["payload"]).symlink_to(victim)
    elif how == "pipe":
        payload.unlink()
        os.mkfifo(payload)
    elif how == "rows":
        stored["images"] = stored["images"][:-1]
    text = json.dumps(stored, sort_keys=True)
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "sidecar": stored}
    if how == "linked sidecar":
        (tmp_path / "outside.json").write_bytes(sidecar.read_bytes())
        sidecar.unlink()
        sidecar.symlink_to(tmp_path / "outside.json")
    else:
        sidecar.write_text(json.dumps(sealed))
    again = extract(root, tmp_path / "cache")
    assert not again.from_cache
    assert np.array_equal(again.matrix, good)
    assert np.array_equal(np.load(victim), np.zeros_like(good))
    assert (tmp_path / "outside.json").exists() == (how == "linked sidecar")


BAD = {
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-300]),
    "empty": lambda p: p.write_bytes(b""),
    "no image": lambda p: p.write_bytes(b"<html>404</html>"),
    "missing": lambda p: p.unlink(),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_image_is_named_and_everything_else_is_kept(
    root: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, good = tmp_path / "cache", (root / "3.jpg").read_bytes()
    BAD[kind](root / "3.jpg")
    with pytest.raises(InputError, match=r"1 of 12 images.*3\.jpg.*on_bad_image=skip"):
        extract(root, cache)
    skipped = extract(root, cache, on_bad_image="skip")
    assert skipped.from_cache
    assert [index for index, *_ in skipped.bad] == [3]
    assert np.isnan(skipped.matrix[3]).all()
    assert np.isfinite(np.delete(skipped.matrix, 3, axis=0)).all()
    # Once it is repaired, only this one image goes through the network.
    (root / "3.jpg").write_bytes(good)
    decoded: list[Path] = []
    original = extraction._pixels
    monkeypatch.setattr(extraction, "_pixels", lambda p, *a: decoded.append(p) or original(p, *a))
    repaired = extract(root, cache)
    assert decoded == [root / "3.jpg"]
    assert np.isfinite(repaired.matrix).all()


def test_a_bad_image_is_never_known_from_another_extraction(root: Path, tmp_path: Path) -> None:
    BAD["no image"](root / "3.jpg")
    extract(root, tmp_path / "cache", on_bad_image="skip")
    others = extract(root, tmp_path / "cache", files=FILES[2:], on_bad_image="skip")
    assert [(index, file) for index, file, _ in others.bad] == [(1, "3.jpg")]


def test_an_image_that_changes_while_it_is_read_is_bad(root: Path, tmp_path: Path) -> None:
    content = extraction.contents(root, FILES)
    shutil.copy(root / "1.jpg", root / "0.jpg")
    found = extract(root, tmp_path / "cache", content=content, on_bad_image="skip")
    assert found.bad == ((0, "0.jpg", "changed while it was being read"),)
    assert np.isnan(found.matrix[0]).all()


def test_every_kind_of_picture_in_one_folder(root: Path, tmp_path: Path) -> None:
    """What the web and cameras leave: each gives the features of what a viewer shows."""
    with Image.open(root / "0.jpg") as image:
        upright = image.convert("RGB")
    grey = np.asarray(upright.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    made: dict[str, tuple[Image.Image, dict[str, object], Image.Image]] = {
        "cmyk.tif": (upright.convert("CMYK"), {}, upright.convert("CMYK").convert("RGB")),
        "palette.png": (upright.quantize(64), {}, upright.quantize(64).convert("RGB")),
        "palette.gif": (upright.quantize(64), {}, upright.quantize(64).convert("RGB")),
        "alpha.png": (upright.convert("RGBA"), {}, upright),
        "deep.png": (Image.fromarray(grey.astype(np.uint16) * 257), {}, Image.fromarray(grey)),
        "grey.png": (Image.fromarray(grey), {}, Image.fromarray(grey)),
        "turned.png": (upright.transpose(Image.Transpose.ROTATE_180), {"exif": exif}, upright),
        "a.webp": (upright, {"lossless": True}, upright),
        "a.bmp": (upright, {}, upright),
    }
    for file, (image, options, _) in made.items():
        image.save(root / file, **options)
    found = extract(root, tmp_path / "cache", files=list(made))
    backbone = get_backbone(SPEC, SIZE)
    for row, (file, (_, _, shown)) in enumerate(made.items()):
        expected = backbone.forward(backbone.preprocess(shown.convert("RGB"))[None]).numpy()[0]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            found.matrix[row], expected, rtol=0, atol=1e-5 * scale, err_msg=file
        )


@pytest.mark.parametrize("limit", [SIZE * SIZE - 1, SIZE * SIZE // 3])
def test_an_image_too_huge_to_decode_is_named_and_no_warning_escapes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Pillow only warns up to twice its limit, and refuses above; warnings are errors here."""
    for file in FILES[1:]:
        Image.new("RGB", (8, 8)).save(root / file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    found = extract(root, tmp_path / "cache", on_bad_image="skip")
    assert found.bad == ((0, "0.jpg", f"more than {limit:,} pixels; make it smaller"),)


def test_all_bad_images_are_in_one_message(root: Path, tmp_path: Path) -> None:
    for i in (2, 5, 7):
        (root / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"3 of 12 .*2\.jpg.*5\.jpg.*7\.jpg"):
        extract(root, tmp_path / "cache")


def test_full_disk(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="disk is full"):
        extract(root, tmp_path / "cache")
    monkeypatch.undo()
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert not extract(root, tmp_path / "cache").from_cache


def test_too_little_space_is_known_before_the_network_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(InputError, match="free some space"):
        extract(root, tmp_path / "cache")


def test_cache_folder_that_cannot_be_written(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cache_dir"):
        extract(root, tmp_path / "file")


def test_bad_arguments(root: Path, tmp_path: Path) -> None:
    for changes in (
        {"device": "cuda:99"},
        {"device": "cpuu"},
        {"files": []},
        {"on_bad_image": "maybe"},
        {"batch_size": 0},
        {"precision": "float64"},
        {"workers": -1},
    ):
        with pytest.raises(InputError, match=next(iter(changes))):
            extract(root, tmp_path / "cache", **changes)


SCRIPT = """
import sys, time
from pathlib import Path
from w2s_groups.features import extraction
from w2s_groups.backbones import get_backbone
original = extraction._pixels
def slow(path, *rest):
    print("image", flush=True)
    time.sleep(0.05)
    return original(path, *rest)
extraction._pixels = slow
root, cache = map(Path, sys.argv[1:])
files = sorted(p.name for p in root.iterdir())
extraction.extract(root, files, get_backbone("packaged/squeezenet1_1", 64), cache, batch_size=1)
"""


def test_a_kill_leaves_nothing_that_is_read_as_whole(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(cache)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first image is being read
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    files = sorted(FILES)
    after = extract(root, cache, files=files)
    assert not after.from_cache
    assert np.array_equal(after.matrix, extract(root, tmp_path / "other", files=files).matrix)
