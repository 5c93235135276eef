"""Settings of a report: what a reader has to know, and nothing that differs between machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2s_groups.core.roles import HIDDEN, Role, names, plain
from w2s_groups.data.base import Dataset, FeatureDataset, Listed
from w2s_groups.reports.places import without_folder
from w2s_groups.results import store
from w2s_groups.results.format import IMAGE
from w2s_groups.results.method_facts import PLUGINS, of_plugins
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.choices import ClassBalance, HeadKind, Task
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import ORIGINAL

# Of a report's settings, those that may differ from one dataset to another within it.
OF_DATA = ("data", "pair", "files", "noun", "splits", "target")
# Not shown at these values, which ask for nothing.
_UNUSED: dict[str, Any] = {
    "vary": {}, "trials": {}, "n_val": 0, "eta_o": None, "select": "fixed",
    "permute_labels": False, "precision": "float32",
}  # fmt: skip


def asked(cfg: Config, cells: Sequence[Cell], original: float) -> dict[str, Any]:
    """Settings that follow from the configuration. original: what "original" stands for."""
    shown = plain(cfg, HIDDEN)
    if "table" in shown["data"]:  # `files` tells two tables of one name apart
        shown["data"]["table"] = without_folder(shown["data"]["table"])
    for name in ("eta_l", "eta_u"):  # as numbers, whatever they were called
        shown[name] = list(dict.fromkeys(getattr(cell.request, name) for cell in cells))
    shown["eta_o"] = original if ORIGINAL in (*cfg.eta_l, *cfg.eta_u) else None
    unused = [name for name, value in _UNUSED.items() if shown[name] == value]
    if not cfg.n_val:
        unused.append("eta_val")
    if cfg.head is not HeadKind.mlp:
        unused.append("mlp")
    if cfg.tuned is None:
        unused.append("finetune")
    if cfg.several is None:
        unused.append("splits")
    shown = {name: value for name, value in shown.items() if name not in unused}
    return {"experiment": shown.pop("experiment_name"), **shown}


def of_run(
    cfg: Config,
    dataset: Dataset,
    cells: Sequence[Cell],
    original: float,
    pairs: Sequence[dict[str, Any]],
    priors: Sequence[float],
    shared: str,
    variance: float | None = None,
) -> dict[str, Any]:
    """Settings of a run's report. pairs: of the networks, with what was measured of them.

    priors: class shares of the pool. shared: sentence on test samples in the pool, "" for none.
    variance: of the target over the pool; None where heads learn classes.
    """
    drawn = list(priors) if cfg.class_balance is ClassBalance.dataset else None
    settings = {
        **asked(cfg, cells, original),
        **brought(cfg, dataset),
        "class_priors": drawn,
        "pair": list(pairs),
    }
    if told := of_plugins(cfg.methods):
        settings[PLUGINS] = told
    if shared:
        settings["data"]["shared"] = shared
    if variance is not None:
        noise = dataset.noise if isinstance(dataset, FeatureDataset) else None
        known = {} if noise is None else {"noise": noise}
        settings["target"] = {dataset.name: {"variance": float(f"{variance:.6g}"), **known}}
    return settings


def brought(cfg: Config, dataset: Dataset) -> dict[str, Any]:
    """A digest of the data that the user brought, and what a sample is called if no image.

    The place of such data is no setting: the digest tells reports of two folders apart, the same
    on every machine.
    """
    files = {}
    if isinstance(dataset, Listed) and names(cfg.data, Role.place):
        rows = [list(dataset.sort_keys), dataset.codes.tolist(), dataset.split.tolist()]
        if cfg.task is Task.regression and dataset.target is not None:
            rows.append(dataset.target.tolist())
        files[dataset.name] = store.digest(rows)[:8]
    noun = {"noun": dataset.NOUN} if dataset.NOUN != IMAGE else {}
    return {**({"files": files} if files else {}), **noun}


def digest(cfg: Config, dataset: Dataset) -> str:
    """Stands for all that a question about one pair of networks asks, in 8 hexadecimal digits."""
    shown = plain(cfg, HIDDEN | {Role.network})
    shown.pop("splits")  # a prediction is made for the data's own split
    shown["finetune"] = plain(cfg.finetune)  # whole, as in the digests of older reports
    files = brought(cfg, dataset).get("files", {})
    return store.digest([shown, files.get(dataset.name)])[:8]
