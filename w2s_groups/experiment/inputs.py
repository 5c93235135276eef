"""From a configuration to arrays: the dataset, and features of every network."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from w2s_groups import backbones
from w2s_groups.core import mapped
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable
from w2s_groups.core.progress import Steps
from w2s_groups.core.roles import plain
from w2s_groups.data import DATASETS, checks
from w2s_groups.data.base import (
    TEST,
    Dataset,
    FeatureDataset,
    Listed,
    TableDataset,
)
from w2s_groups.data.ondisk import OnDisk, Shared
from w2s_groups.data.shared import sentences
from w2s_groups.experiment import gradients
from w2s_groups.features import extraction, precomputed, rows, work
from w2s_groups.features.compute import UNREADABLE
from w2s_groups.schema.config import Config

Network = tuple[str, str]  # "teacher" or "student", and the network's name
Extract = Callable[[], extraction.Features]
Check = Callable[[Callable[[str, str], int]], object]  # of what gives the width by side and name

# In the sentence on shared samples: what is compared where it is not the samples' own bytes.
_FILE, _ROW = "the features of", "the values of"

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


def question_of(cfg: Config) -> list[Any]:
    """What a `Memory` knows the configured dataset by."""
    return [plain(cfg.data), type(cfg.data).__name__, cfg.cache_dir]


def load_dataset(cfg: Config) -> Dataset:
    """The configured dataset, with progress of what has to be built.

    Images and texts are sorted by what they are: a table that lists the same ones in another order
    gives the same features, draws, folds and keys.
    """
    with one_at_a_time(cfg, f"data {cfg.data.name}"), Steps() as steps:
        dataset: Dataset = cfg.data.load(Path(cfg.cache_dir).absolute(), steps)
        if (origin := DATASETS.origin_of(type(cfg.data))) is not None:
            checks.check(dataset, f"data={cfg.data.name} of {origin.source}")
    return dataset.in_order()


@contextmanager
def one_at_a_time(cfg: Config, what: str) -> Iterator[None]:
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


@dataclass(frozen=True, eq=False)
class Loaded:
    """Features of every network. matrices: (side, network) -> (N, d); content: -> key of its own.

    usable: (N,) samples that could be read. shared: sentence on the test samples that are also in
    the pool, "" for none. learnt: network -> how to compute its features anew for another pool, of
    those that depend on it.
    """

    matrices: dict[Network, NDArray[np.float32]]
    usable: NDArray[np.bool_]
    content: dict[Network, str]
    shared: str
    learnt: Mapping[str, Callable[[Any], extraction.Features]] = field(default_factory=dict)

    def on(
        self, side: str, name: str, dataset: Dataset, usable: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(N, d) features of a network as they are for the pool of a split: its usable rows."""
        if name not in self.learnt:
            return self.matrices[side, name]
        outside = np.where(usable, dataset.split, TEST)
        return self.learnt[name](replace(dataset, split=outside)).matrix


def load_features(dataset: Dataset, cfg: Config, check: Check = lambda width: None) -> Loaded:
    """Features of every network of cfg, computed where the cache lacks them.

    check: called before any is computed, with what gives the width of a side's network. Raises
    InputError if data.shared=stop and test samples are also in the pool.
    """
    if isinstance(dataset, FeatureDataset):
        return _own_features(dataset, cfg, check)
    assert isinstance(dataset, Listed)
    sources = sources_of(dataset, cfg)
    sentence = shared_of(dataset, cfg, sources, np.ones(len(dataset.y), dtype=bool))
    check(lambda side, name: gradients.within_limit(cfg, lambda: sources.width(name)))
    usable = np.ones(len(dataset.y), dtype=bool)
    matrices, content = {}, {}
    for name in names_of(cfg):
        features = sources.ready.get(name) or gradients.within_limit(cfg, sources.extract[name])
        for side in ("teacher", "student"):
            matrices[side, name], content[side, name] = features.matrix, features.key
        usable[[index for index, *_ in features.bad]] = False
    if not usable.all():
        left_out = (~usable).sum()
        log.warning("%d unreadable %ss are left out of every draw", left_out, dataset.NOUN)
        sentence = shared_of(dataset, cfg, sources, usable)
    if sentence:
        log.warning("%s, %s", *sentence)
    said = sentence[0] if sentence else ""
    return Loaded(matrices, usable, content, said, sources.learnt)


def names_of(cfg: Config) -> list[str]:
    """Every network of a pair, once."""
    return list(dict.fromkeys(name for pair in cfg.pairs for name in pair))


def _own_features(dataset: FeatureDataset, cfg: Config, check: Check) -> Loaded:
    """Features that the data are."""
    if len(cfg.pairs) > 1:
        raise InputError(
            f"data={dataset.name} brings the features of one teacher and one student: "
            f"teacher={cfg.teacher}, student={cfg.student} name more; give one of each"
        )
    own = {
        (side, name): dataset.features[side]
        for side, (name,) in (("teacher", cfg.teacher), ("student", cfg.student))
    }
    check(lambda side, name: own[side, name].shape[1])
    usable = np.ones(len(dataset.y), dtype=bool)
    return Loaded(own, usable, {key: f"{dataset.key} {key[0]}" for key in own}, "")


@dataclass(frozen=True, eq=False)
class Sources:
    """Where the features of each network come from. ready: read from a file, or of a table.

    networks: those that compute them, by `extract`. hashes: of the samples, None of one that
    cannot be read; of: which those are, in the sentence on shared samples. learnt: as in Loaded.
    content: of images or texts, what `work.contents` gives; None where no network reads them.
    """

    ready: dict[str, extraction.Features]
    networks: Mapping[str, work.Network]
    extract: Mapping[str, Extract]
    hashes: list[str | None]
    of: str
    learnt: Mapping[str, Callable[[Any], extraction.Features]] = field(default_factory=dict)
    content: list[str] | None = None

    def width(self, name: str) -> int:
        """Features of a network. Loads it, unless they come from a file."""
        ready = self.ready.get(name)
        return self.networks[name].width if ready is None else ready.matrix.shape[1]


def sources_of(dataset: Listed, cfg: Config) -> Sources:
    """All are looked up before any is used: a wrong name must not wait for the others' features."""
    ready = {
        name: precomputed.read(
            name, dataset.files, cfg.on_bad_image.value, noun=dataset.NOUN, listed=dataset.listed
        )
        for name in names_of(cfg)
        if precomputed.is_features(name)
    }
    wanted = [name for name in names_of(cfg) if name not in ready]
    if isinstance(dataset, TableDataset):
        encoders = {name: backbones.get_table_encoder(name) for name in wanted}
        encoded = {name: rows.extract_rows(dataset, encoder) for name, encoder in encoders.items()}
        learnt = {
            name: partial(rows.extract_rows, encoder=encoder)
            for name, encoder in encoders.items()
            if rows.learns(dataset, encoder)
        }
        return Sources({**ready, **encoded}, {}, {}, list(dataset.sort_keys), _ROW, learnt)
    how = how_of(cfg)
    networks = {name: work.encoder(dataset, name, how) for name in wanted}
    if not networks:
        return Sources(ready, {}, {}, _row_hashes(next(iter(ready.values())).matrix), _FILE)
    index = Path(cfg.cache_dir).absolute() / "hashes"
    content = work.contents(dataset, cfg.workers, index, cfg.verify.value)
    extract = _extractors(dataset, cfg, networks, content)
    return Sources(ready, networks, extract, _known(content), "", content=content)


def shared_of(
    dataset: Listed, cfg: Config, sources: Sources, usable: NDArray[np.bool_]
) -> tuple[str, str] | None:
    """Two parts of a sentence on the usable test samples that are also in the pool, if any are.

    InputError for them if data.shared=stop.
    """
    hashes = [known if usable[row] else None for row, known in enumerate(sources.hashes)]
    parts = sentences(dataset, hashes, sources.of)
    if parts and isinstance(cfg.data, OnDisk) and cfg.data.shared is Shared.stop:
        raise InputError(
            f"data.shared=stop: {parts[0]}, {', '.join(parts[1:])}; take them out "
            "of one of the two, or set data.shared=report"
        )
    return parts


def _row_hashes(matrix: NDArray[np.float32]) -> list[str | None]:
    """sha256 of each row of (N, d) features; None of one that is not finite."""
    hashes: list[str | None] = [None] * len(matrix)
    rows = np.arange(len(matrix))
    for where, part in mapped.blocks(matrix, rows, mapped.rows_at_once(matrix.shape[1])):
        for place, row in zip(rows[where].tolist(), part, strict=True):
            if np.isfinite(row).all():
                hashes[place] = hashlib.sha256(row.tobytes()).hexdigest()
    return hashes


def _extractors(
    dataset: Listed, cfg: Config, networks: Mapping[str, work.Network], content: list[str]
) -> dict[str, Extract]:
    """What computes the features of each network. content: as in Sources."""
    how, cache_dir = how_of(cfg), Path(cfg.cache_dir).absolute()

    def extract(network: work.Network) -> extraction.Features:
        items, run = work.prepared(dataset, network, content, how, progress=True)
        return extraction.extracted(items, run, cache_dir, how.on_bad_image)

    return {name: partial(extract, network) for name, network in networks.items()}


def how_of(cfg: Config) -> work.How:
    """The settings of networks and of their extraction."""
    return work.How(
        cfg.image_size, cfg.ntk, gradients.limit(cfg), cfg.batch_size, cfg.workers, cfg.device,
        cfg.precision.value, cfg.on_bad_image.value,
    )  # fmt: skip


def _known(content: Sequence[str]) -> list[str | None]:
    """Hashes of what can be read; None for the rest."""
    return [None if text.startswith(UNREADABLE) else text for text in content]
