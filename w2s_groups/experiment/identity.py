"""Keys of cells: their scientific configuration, and nothing that differs between machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_groups.backbones import SOURCES, library
from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.data import DATASETS
from w2s_groups.data.base import Dataset, FeatureDataset, Listed
from w2s_groups.experiment import prompts
from w2s_groups.experiment.pool import Pair
from w2s_groups.experiment.prepare import Prepared
from w2s_groups.methods import METHODS
from w2s_groups.results import store
from w2s_groups.results.columns import COLUMNS
from w2s_groups.results.provenance import provenance
from w2s_groups.results.store import Stored
from w2s_groups.schema.cells import WHOLE, Cell
from w2s_groups.schema.choices import HeadKind, Task
from w2s_groups.schema.config import Config

# Entries of an identity that a cell's draw depends on, and the networks of its setup.
_OF_DRAW = ("data", "teacher", "student", "rows", "class_balance", "permute_labels", "task", "cell")

# Raised whenever the same configuration would give other numbers: part of every cell's key.
NUMERICS = 5


def planned(prepared: Prepared, pair: Pair, cells: Sequence[Cell]) -> dict[Cell, Stored]:
    """Each cell of a part of a pair as it will be stored, without its records."""
    cfg, named = prepared.cfg, {"data": prepared.cfg.data.name, **pair.networks}
    shared = _shared(cfg, pair)
    if prompts.asked(cfg):  # no other method knows what its classes are called
        shared["class_names"] = list(prepared.dataset.groups.class_names)
    made_with = {**provenance(), "device": prepared.device}
    made_with["versions"] = {**made_with["versions"], **_plugin_packages(cfg)}
    stored = {}
    for cell in cells:
        identity = {**shared, "cell": own(cell)}
        fields = {**named, **fields_of(cell)}
        stored[cell] = Stored(store.cell_key(identity), identity, fields, made_with, [])
    return stored


def _plugin_packages(cfg: Config) -> dict[str, str]:
    """Package -> version, of the plug-ins among the methods, of the dataset and networks."""
    origins = [METHODS.origin(name) for name, method in cfg.methods.items() if method.code]
    libraries = {library(name) for name in (*cfg.teacher, *cfg.student)}
    origins += [SOURCES.origin(name) for name in sorted(libraries & set(SOURCES.plugins()))]
    of_data = DATASETS.origin_of(type(cfg.data))
    origins += [] if of_data is None else [of_data]
    return {origin.package: origin.version for origin in origins if origin.package}


def own(cell: Cell) -> dict[str, Any]:
    """The entry of an identity that tells the cells of a pair apart."""
    part = {"part": plain(cell.part)} if cell.part != WHOLE else {}
    return {"request": plain(cell.request), "seed": cell.seed, **part}


def fields_of(cell: Cell) -> dict[str, Any]:
    """A cell's own columns of the long table, without data and networks."""
    request = {k: v for k, v in plain(cell.request).items() if k in COLUMNS}
    return {**request, "seed": cell.seed, **(plain(cell.part) if cell.part != WHOLE else {})}


def ids(dataset: Dataset) -> tuple[str, ...]:
    """N names of the samples: of files, texts or rows; the position of one that has no name.

    InputError where two samples have one name.
    """
    names = dataset.files if isinstance(dataset, Listed) else map(str, range(len(dataset.y)))
    names = tuple(names)
    if len(set(names)) < len(names):
        twice = next(name for name, n in Counter(names).items() if n > 1)
        raise InputError(
            f"data={dataset.name} names two {dataset.NOUN}s {twice!r}, so that a draw cannot be "
            "written by name; give each a name of its own"
        )
    return names


def samples(dataset: Dataset) -> str:
    """A digest of the samples: names, labels, attributes, split, groups, and texts or values.

    Of images the names only: reading the files of a large set takes minutes.
    """
    groups = dataset.groups
    content = dataset.sort_keys if isinstance(dataset, Listed) else ()
    content = (dataset.key,) if isinstance(dataset, FeatureDataset) else content
    split = dataset.split if dataset.official is None else dataset.official
    coding = [groups.class_names, groups.attribute_names, sorted(groups.minority)]
    arrays = [array.tolist() for array in (dataset.y, dataset.a, split)]
    return store.digest([ids(dataset), content, *arrays, coding])


def draw_key(identity: Mapping[str, Any], samples: str) -> str:
    """Key of a cell's draw, such as `draw-2b5a5e0c2b8d0d49`, from the identity of the cell.

    It holds what the sets and the setup of the cell follow from, and no setting of a method: runs
    of other methods, heads or code on the same draw have the same key. samples: as `samples`
    gives it.
    """
    named = {name: identity[name] for name in _OF_DRAW if name in identity}
    return f"draw-{store.digest([samples, named])[:16]}"


def measured(pair: Pair) -> dict[str, Any]:
    """What was read: keys of the features of both sides, and a digest of the rows."""
    return {"features": pair.content, "rows": pair.rows}


def _shared(cfg: Config, pair: Pair) -> dict[str, Any]:
    """The part of an identity that all cells of a pair share.

    A setting that the run does not depend on is left out, so that a new one changes no older key.
    """
    built_on = cfg.built_on()
    code = {name: method.code for name, method in cfg.methods.items() if method.code}  # plug-ins
    return {
        "numerics": NUMERICS,
        "data": cfg.data.name,
        **pair.networks,
        **measured(pair),
        "class_balance": cfg.class_balance.value,
        "tol": cfg.tol,
        **({"ridge": cfg.l2_path} if cfg.ridge is not None else {}),
        **({"mlp": plain(cfg.mlp)} if cfg.head is HeadKind.mlp else {}),
        **({"finetune": plain(cfg.finetune, HIDDEN)} if cfg.tuned else {}),
        **({"permute_labels": True} if cfg.permute_labels else {}),
        **({"task": cfg.task.value} if cfg.task is Task.regression else {}),
        "methods": plain(cfg.resolved(pair.widths)),
        **({"built_on": built_on} if any(built_on.values()) else {}),
        **({"code": code} if code else {}),
    }
