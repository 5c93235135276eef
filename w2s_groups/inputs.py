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

from w2s_groups import backbones, features, text_features
from w2s_groups.backbones import precomputed
from w2s_groups.config import Config
from w2s_groups.data.base import Dataset, FeatureDataset, Listed, TextDataset
from w2s_groups.errors import InputError
from w2s_groups.files import check_writable
from w2s_groups.progress import Steps

Side = tuple[str, str]  # "teacher" or "student", and the network

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
    """The configured dataset, with progress of what has to be built."""
    with alone(cfg, f"data {cfg.data.name}"), Steps() as steps:
        dataset: Dataset = cfg.data.load(Path(cfg.cache_dir).absolute(), steps)
    return dataset


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
) -> tuple[dict[Side, NDArray[np.float32]], NDArray[np.bool_], dict[Side, str]]:
    """Features by (side, network), the rows that could be read, and a key for their content."""
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
        return own, usable, {key: f"{dataset.key} {key[0]}" for key in own}
    names = dict.fromkeys(name for pair in cfg.pairs for name in pair)
    # All are looked up before any is used: a wrong name must not wait for the others' features.
    ready = {
        name: precomputed.read(name, dataset.files, cfg.on_bad_image.value)
        for name in names
        if precomputed.is_features(name)
    }
    extract = _extractors(dataset, cfg, [name for name in names if name not in ready])
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
    return matrices, usable, content


def _extractors(
    dataset: Listed, cfg: Config, names: Sequence[str]
) -> dict[str, Callable[[], features.Features]]:
    """What gives the features of each network; all networks are looked up already."""
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
        return {
            name: partial(
                text_features.extract_texts, dataset, backbones.get_encoder(name), cache, **how
            )
            for name in names
        }
    found = {name: backbones.get_backbone(name, cfg.image_size) for name in names}
    files = dataset.root, dataset.files
    return {name: partial(features.extract, *files, found[name], cache, **how) for name in names}
