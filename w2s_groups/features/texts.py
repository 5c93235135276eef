"""Texts -> feature matrix, as `extraction` does it for images, in the same cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from w2s_groups.backbones.text import TextEncoder
from w2s_groups.data.base import TextDataset
from w2s_groups.features.compute import UNREADABLE, Items
from w2s_groups.features.extraction import Features, extracted, run_of


def extract_texts(
    dataset: TextDataset,
    encoder: TextEncoder,
    cache_dir: Path,
    *,
    batch_size: int = 16,
    workers: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    on_bad_image: str = "stop",
    progress: bool | Callable[[int, int], None] = False,
) -> Features:
    """Features of a dataset's N texts, in every respect like those of images.

    An empty text counts as a bad image. The key holds every text in order in place of the bytes of
    images. Texts of as many tokens go into one batch, so that next to nothing is computed for
    padding (texts of as many characters: a third more).
    """
    run = run_of(encoder, device, precision, batch_size, workers, progress, on_bad_image)
    return extracted(items(dataset, encoder), run, Path(cache_dir), on_bad_image)


def items(dataset: TextDataset, encoder: TextEncoder) -> Items:
    """The texts of a dataset for a network."""

    def load(row: int, sha256: str) -> torch.Tensor:
        second = None if dataset.second is None else dataset.second[row]
        return encoder.tokens(dataset.texts[row], second)

    def length(row: int) -> int:
        try:
            return load(row, "").shape[1]
        except Exception:  # of a text that cannot be read: its batch says so
            return 0

    return Items("text", dataset.name, dataset.files, contents(dataset), load, length)


def contents(dataset: TextDataset) -> list[str]:
    """sha256 of each text or pair, or UNREADABLE and why it counts as a bad image."""
    seconds = dataset.second or dataset.texts
    return [
        sha256 if text.strip() and second.strip() else f"{UNREADABLE}empty text"
        for sha256, text, second in zip(dataset.sort_keys, dataset.texts, seconds, strict=True)
    ]
