"""A cut-out on a background, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_pictures import write_background

from w2s_groups.core.errors import InputError
from w2s_groups.data.compositing import paste as paste_module
from w2s_groups.data.compositing.paste import open_background, open_cutout, paste


def test_paste_puts_the_whole_cutout_inside_the_frame() -> None:
    cutout = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    background = Image.new("RGB", (90, 60), (0, 0, 255))
    rng = np.random.default_rng(0)
    for u in [np.zeros(8), np.full(8, 1 - 1e-12), *rng.random((50, 8))]:
        image = np.asarray(paste(cutout, background, u, 64, (0.5, 1.0), (0.5, 0.75)))
        red = image[..., 0] == 255
        width, height = red.any(axis=0).sum(), red.any(axis=1).sum()
        assert width == round((0.5 + 0.25 * u[4]) * 64)
        assert abs(height - width / 2) <= 0.75  # both sides are rounded
        assert red.sum() == width * height
        assert (image[~red] == (0, 0, 255)).all()


def test_paste_blends_edges_by_alpha() -> None:
    cutout = Image.new("RGBA", (10, 10), (255, 255, 255, 0))
    cutout.paste((200, 100, 0, 128), (0, 0, 10, 10))
    background = Image.new("RGB", (50, 50), (0, 0, 100))
    image = np.asarray(paste(cutout, background, np.full(8, 0.5), 20, (1.0, 1.0), (1.0, 1.0)))
    mixed = 128 / 255 * np.array([200, 100, 0]) + 127 / 255 * np.array([0, 0, 100])
    np.testing.assert_allclose(image.reshape(-1, 3), np.tile(mixed, (400, 1)), atol=1)  # rounding


def test_transparent_margin_is_cut_and_colour_below_it_does_not_bleed(tmp_path: Path) -> None:
    pixels = np.full((30, 30, 4), (0, 255, 0, 0), dtype=np.uint8)  # transparent green
    pixels[10:20, 5:25] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "c.png")
    cutout = open_cutout(tmp_path / "c.png", 64)
    assert cutout.size == (20, 10)
    background = Image.new("RGB", (50, 50), (0, 0, 255))
    image = np.asarray(paste(cutout, background, np.full(8, 0.5), 33, (1.0, 1.0), (0.5, 0.5)))
    assert image[..., 1].max() <= 1


def test_pictures_are_shrunk_once_and_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "b.jpg", exif=exif)
    assert open_background(tmp_path / "b.jpg", 50).size == (50, 100)
    assert open_background(tmp_path / "b.jpg", 500).size == (200, 400)


def test_bomb_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_background(tmp_path / "b.png", 0)
    monkeypatch.setattr(paste_module.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"b\.png cannot be read"):
        open_background(tmp_path / "b.png", 10)
