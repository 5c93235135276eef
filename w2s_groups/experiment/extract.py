"""Features of a data set by several networks, computed ahead of the runs that use them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from w2s_groups.core.progress import Steps
from w2s_groups.core.text import count
from w2s_groups.data.base import Dataset, FeatureDataset, Listed, TableDataset
from w2s_groups.experiment import inputs
from w2s_groups.features import cache, estimate, extraction, precomputed, ray_engine, shards, work
from w2s_groups.features.compute import Items, Progress, Run
from w2s_groups.features.shards import Shard
from w2s_groups.schema.choices import Engine
from w2s_groups.schema.features import FeaturesConfig

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Network:
    """A network and what it has to do. missing: shards that the cache lacks, of every part."""

    name: str
    items: Items
    run: Run
    shards: list[Shard]
    missing: list[Shard]

    @property
    def width(self) -> int:
        """Number of features. Loads the network."""
        return self.run.encoder.width

    def rows(self, of: list[Shard]) -> int:
        """Samples of shards."""
        return sum(len(shard.rows) for shard in of)


@dataclass(frozen=True, eq=False)
class Plan:
    """Networks that read the samples. idle: a sentence on each that needs no extraction.

    need: bytes that are still to be written.
    """

    dataset: Dataset
    content: list[str]
    networks: list[Network]
    idle: list[str]
    need: int


@dataclass(frozen=True, eq=False)
class Done:
    """What became of a network. n: samples that went through it here, in `seconds`; left: missing
    shards; from_cache: the matrix was there already.
    """

    network: Network
    n: int
    seconds: float
    left: list[Shard]
    from_cache: bool


def plan(cfg: FeaturesConfig) -> Plan:
    """Load the data set, look up the networks, and see which shards are missing.

    Raises InputError for all that a run refuses before it computes features, and for a disk without
    room for them.
    """
    dataset = inputs.load_dataset(cfg)
    names, idle = _needed(cfg, dataset)
    if not names:
        return Plan(dataset, [], [], idle, 0)
    assert isinstance(dataset, Listed)
    sources = inputs.sources_of(dataset, replace(cfg, teacher=names, student=names))
    if said := inputs.shared_of(dataset, cfg, sources, np.ones(len(dataset.y), dtype=bool)):
        log.warning("%s, %s", *said)
    content, how = sources.content or [], inputs.how_of(cfg)
    if cfg.engine is Engine.ray:  # the actors have the devices; this process joins their shards
        how = replace(how, device="cpu")
    networks = []
    for name, network in sources.networks.items():
        items, run = work.prepared(dataset, network, content, how)
        parts = shards.cut(items, run, _cache(cfg))
        networks.append(Network(name, items, run, parts, shards.missing(parts)))
    need = sum(
        estimate.disk(len(dataset.y), net.width, [len(shard.rows) for shard in net.missing])
        for net in networks
        if net.missing
    )
    if need:
        cache.prepare(_cache(cfg) / "features", need)
    return Plan(dataset, content, networks, idle, need)


def _needed(cfg: FeaturesConfig, dataset: Dataset) -> tuple[list[str], list[str]]:
    """Names of the networks to extract with, and a sentence on each thing that needs none."""
    if isinstance(dataset, FeatureDataset):
        return [], [f"data={dataset.name} is made of features already and needs no extraction"]
    if isinstance(dataset, TableDataset):
        return [], [
            f"data={dataset.name} holds rows of a table, which need no extraction: a run encodes "
            "them in about a second"
        ]
    given = [name for name in inputs.names_of(cfg) if precomputed.is_features(name)]
    idle = [f"{name} holds features already and needs no extraction" for name in given]
    return [name for name in inputs.names_of(cfg) if name not in given], idle


def run(cfg: FeaturesConfig, planned: Plan) -> Iterator[Done]:
    """Make the missing shards of each network in turn; put its matrix together if none is left."""
    ray = cfg.engine is Engine.ray and any(network.missing for network in planned.networks)
    with ray_engine.cluster(cfg.ray.init) if ray else nullcontext():
        for network in planned.networks:
            yield _extracted(cfg, planned, network)


def _extracted(cfg: FeaturesConfig, planned: Plan, network: Network) -> Done:
    n, begun = 0, time.monotonic()
    with Steps() as steps:

        def progress(done: int, total: int) -> None:
            nonlocal n
            n = done
            steps(network.name, done, total)

        seen = replace(network.run, progress=progress)
        if cfg.engine is Engine.ray:
            _by_actors(cfg, planned, network, seen)
        else:
            shards.take(network.items, seen, network.shards, cfg.part)
    seconds = time.monotonic() - begun
    left, from_cache = shards.missing(network.shards), False
    if not left:
        features = extraction.extracted(
            network.items, network.run, _cache(cfg), cfg.on_bad_image.value
        )
        from_cache = features.from_cache
    return Done(network, n, seconds, left, from_cache)


def _by_actors(cfg: FeaturesConfig, planned: Plan, network: Network, seen: Run) -> None:
    missing = shards.of_part(shards.missing(network.shards), cfg.part)
    if not missing:
        return
    assert isinstance(planned.dataset, Listed)
    by_name = partial(
        work.by_name, planned.dataset, network.name, planned.content, inputs.how_of(cfg)
    )
    actors = ray_engine.Actors(seen.workers, cfg.device, cfg.ray.concurrency)
    with Progress(seen, network.rows(missing), network.items.noun) as shown:
        ray_engine.make(by_name, _cache(cfg), missing, actors, shown)


def described(cfg: FeaturesConfig, planned: Plan) -> list[str]:
    """What there is to do, in sentences."""
    if not planned.networks:
        return planned.idle
    n, noun = len(planned.dataset.y), planned.dataset.NOUN
    part = "" if cfg.part is None else f", part {cfg.part[0]} of {cfg.part[1]}"
    lines = [
        *planned.idle,
        f"{planned.dataset.name}: {n:,} {noun}s, {count(len(planned.networks), 'network')}, "
        f"engine={cfg.engine.value}{part}",
    ]
    for net in planned.networks:
        todo = shards.of_part(net.missing, cfg.part)
        lines.append(
            f"{net.name}: {net.width:,} features; {len(net.missing):,} of {len(net.shards):,} "
            f"shards are missing, {len(todo):,} to make here ({net.rows(todo):,} {noun}s)"
            if net.missing
            else f"{net.name}: all {len(net.shards):,} shards are there"
        )
    folder = _cache(cfg) / "features"
    if planned.need:
        widest = max(net.width for net in planned.networks if net.missing)
        lines.append(
            f"into {folder}: {size(planned.need)} until the shards are joined; memory: about "
            f"{size(estimate.memory(n, widest, shards.ROWS))} a process"
        )
    return lines


def ended(cfg: FeaturesConfig, done: Done) -> str:
    """What was done for a network, and how to go on."""
    noun, rate = done.network.items.noun, done.n / max(done.seconds, 1e-9)
    text = f"{done.network.name}: "
    if done.n:
        text += f"{done.n:,} {noun}s in {done.seconds:,.0f} s, {rate:,.1f} {noun}s/s; "
    if not done.left:
        there = "were in the cache" if done.from_cache else "are in the cache"
        return (
            f"{text}features of all {len(done.network.items.names):,} {noun}s {there}, where runs "
            "on the same data find them"
        )
    rows = done.network.rows(done.left)
    more = f", about {estimate.seconds(rows, rate) / 3600:.2g} h at this rate" if done.n else ""
    return (
        f"{text}{len(done.left):,} of {len(done.network.shards):,} shards are left{more}: the part "
        "that ends last, or the command without part=, joins them"
    )


def size(n: float) -> str:
    """Bytes as MB, GB or TB."""
    for unit, bytes_of in (("TB", 1e12), ("GB", 1e9)):
        if n >= bytes_of:
            return f"{n / bytes_of:.3g} {unit}"
    return f"{n / 1e6:.3g} MB"


def _cache(cfg: FeaturesConfig) -> Path:
    return Path(cfg.cache_dir).absolute()
