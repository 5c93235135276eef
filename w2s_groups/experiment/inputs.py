"""From a configuration to arrays: dataset, features of every network, pool."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from w2s_groups import backbones
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable
from w2s_groups.core.progress import Steps
from w2s_groups.data.base import Dataset, FeatureDataset, ImageDataset, Listed, TextDataset
from w2s_groups.data.ondisk import OnDisk, Shared
from w2s_groups.data.shared import sentences
from w2s_groups.features import extraction, precomputed, texts
from w2s_groups.schema.config import Config

Side = tuple[str, str]  # "teacher" or "student", and the network
Extract = Callable[[], extraction.Features]

log = logging.getLogger("w2s_groups")


class Memory:
    """Keeps what the last few of the same questions gave: for the jobs of one sweep."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: OrderedDict[str, Any] = OrderedDict()

    def get(self, question: Any, answer: Callable[[], Any]) -> Any:
        """answer(), or what it gave when the same question (JSON) was last asked."""
        key = json.dumps(question, sort_keys=True)
        if key not in self.kept:
            self.kept[key] = answer()
        self.kept.move_to_end(key)
        while len(self.kept) > self.size:
            self.kept.popitem(last=False)
        return self.kept[key]


def load_dataset(cfg: Config) -> Dataset:
    """The configured dataset, with progress of what has to be built.

    Images and texts are sorted by what they are: a table that lists the same ones in another order
    gives the same features, draws, folds and keys.
    """
    with alone(cfg, f"data {cfg.data.name}"), Steps() as steps:
        dataset: Dataset = cfg.data.load(Path(cfg.cache_dir).absolute(), steps)
    return dataset.in_order()


@contextmanager
def alone(cfg: Config, what: str) -> Iterator[None]:
    """One process at a time builds `what` below the cache; the others wait, then find it there.

    The system frees the lock of a process that dies.
    """
    folder = Path(cfg.cache_dir).absolute() / "locks"
    check_writable(folder, "cache_dir")
    name = hashlib.sha256(what.encode()).hexdigest()[:16]
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("another process is at work on %s: waiting for it", what)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def load_features(
    dataset: Dataset, cfg: Config
) -> tuple[dict[Side, NDArray[np.float32]], NDArray[np.bool_], dict[Side, str], str]:
    """Features by (side, network), the rows that could be read, a key for their content, and how
    many test samples are also in the pool ("" for none). InputError for them if data.shared=stop.
    """
    usable = np.ones(len(dataset.y), dtype=bool)
    if isinstance(dataset, FeatureDataset):
        if len(cfg.pairs) > 1:
            raise InputError(
                f"data={dataset.name} brings the features of one teacher and one student: "
                f"teacher={cfg.teacher}, student={cfg.student} name more; give one of each"
            )
        own = {
            (side, name): dataset.features[side]
            for side, (name,) in (("teacher", cfg.teacher), ("student", cfg.student))
        }
        return own, usable, {key: f"{dataset.key} {key[0]}" for key in own}, ""
    assert isinstance(dataset, Listed)
    names = dict.fromkeys(name for pair in cfg.pairs for name in pair)
    # All are looked up before any is used: a wrong name must not wait for the others' features.
    ready = {
        name: precomputed.read(
            name, dataset.files, cfg.on_bad_image.value, noun=dataset.NOUN, listed=dataset.listed
        )
        for name in names
        if precomputed.is_features(name)
    }
    extract, hashes = _extractors(dataset, cfg, [name for name in names if name not in ready])
    what = ""
    if hashes is None:
        (first, *_), what = ready.values(), "the features of"
        hashes = _row_hashes(first.matrix)
    found_in_pool = sentences(dataset, hashes, what)
    if found_in_pool and isinstance(cfg.data, OnDisk) and cfg.data.shared is Shared.stop:
        raise InputError(
            f"data.shared=stop: {found_in_pool[0]}, {', '.join(found_in_pool[1:])}; take them out "
            "of one of the two, or set data.shared=report"
        )
    matrices, content = {}, {}
    for name in names:
        with alone(cfg, f"features {name} of {dataset.name}"):
            found = ready.get(name) or extract[name]()
        for side in ("teacher", "student"):
            matrices[side, name], content[side, name] = found.matrix, found.key
        usable[[index for index, *_ in found.bad]] = False
    if not usable.all():
        left_out = (~usable).sum()
        log.warning("%d unreadable %ss are left out of every draw", left_out, dataset.NOUN)
        hashes = [known if usable[row] else None for row, known in enumerate(hashes)]
        found_in_pool = sentences(dataset, hashes, what)
    if found_in_pool:
        log.warning("%s, %s", *found_in_pool)
    return matrices, usable, content, found_in_pool[0] if found_in_pool else ""


def _row_hashes(matrix: NDArray[np.float32]) -> list[str | None]:
    """sha256 of each row of (N, d) features; None of one that is not finite."""
    return [
        hashlib.sha256(row.tobytes()).hexdigest() if np.isfinite(row).all() else None
        for row in matrix
    ]


def _extractors(
    dataset: Listed, cfg: Config, names: Sequence[str]
) -> tuple[dict[str, Extract], list[str | None] | None]:
    """What gives the features of each network, and hashes of the images or texts, None without a
    network to read them. All networks are looked up before any image is read.
    """
    cache = Path(cfg.cache_dir).absolute()
    how: dict[str, Any] = {
        "batch_size": cfg.batch_size,
        "workers": cfg.workers,
        "device": cfg.device,
        "precision": cfg.precision.value,
        "on_bad_image": cfg.on_bad_image.value,
        "progress": True,
    }
    if isinstance(dataset, TextDataset):
        encoders: dict[str, Extract] = {
            name: partial(texts.extract_texts, dataset, backbones.get_encoder(name), cache, **how)
            for name in names
        }
        return encoders, _known(texts.contents(dataset))
    assert isinstance(dataset, ImageDataset)
    found = {name: backbones.get_backbone(name, cfg.image_size) for name in names}
    if not found:
        return {}, None
    files = dataset.root, dataset.files
    how["content"] = content = extraction.contents(*files, cfg.workers)
    extract = extraction.extract
    ready: dict[str, Extract] = {
        name: partial(extract, *files, found[name], cache, **how) for name in names
    }
    return ready, _known(content)


def _known(content: Sequence[str]) -> list[str | None]:
    """Hashes of what can be read; None for the rest."""
    return [None if text.startswith(extraction.UNREADABLE) else text for text in content]
