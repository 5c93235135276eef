"""Keys of cells: their scientific configuration, and nothing that differs between machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2s_groups.backbones import SOURCES
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.data import DATASETS
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

# Raised whenever the same configuration would give other numbers: part of every cell's key.
NUMERICS = 5


def planned(prepared: Prepared, pair: Pair, cells: Sequence[Cell]) -> dict[Cell, Stored]:
    """Each cell of a part of a pair as it will be stored, without its records."""
    cfg, named = prepared.cfg, {"data": prepared.cfg.data.name, **pair.networks}
    shared = _shared(cfg, pair)
    made_with = {**provenance(), "device": prepared.device}
    made_with["versions"] = {**made_with["versions"], **_plugin_packages(cfg)}
    stored = {}
    for cell in cells:
        request = {k: v for k, v in plain(cell.request).items() if k in COLUMNS}
        part = plain(cell.part) if cell.part != WHOLE else {}
        fields = {**named, **request, "seed": cell.seed, **part}
        own = {
            "request": plain(cell.request),
            "seed": cell.seed,
            **({"part": part} if part else {}),
        }
        identity = {**shared, "cell": own}
        stored[cell] = Stored(store.cell_key(identity), identity, fields, made_with, [])
    return stored


def _plugin_packages(cfg: Config) -> dict[str, str]:
    """Package -> version, of the plug-ins among the methods, of the dataset and networks."""
    origins = [METHODS.origin(name) for name, method in cfg.methods.items() if method.code]
    libraries = {name.partition("/")[0] for name in (*cfg.teacher, *cfg.student)}
    origins += [SOURCES.origin(name) for name in sorted(libraries & set(SOURCES.plugins()))]
    of_data = DATASETS.origin_of(type(cfg.data))
    origins += [] if of_data is None else [of_data]
    return {origin.package: origin.version for origin in origins if origin.package}


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
