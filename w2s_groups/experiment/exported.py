"""A folder of exported draws: one table of samples by cell and set, and a manifest."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json, write_atomic
from w2s_groups.core.lazy import arrow_csv as pa_csv
from w2s_groups.core.lazy import parquet as pq
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.core.roles import Role, names
from w2s_groups.core.spreadsheet import refuse
from w2s_groups.core.text import count
from w2s_groups.experiment.draws import SETS, Drawing, Drawn
from w2s_groups.experiment.identity import NUMERICS
from w2s_groups.results import store
from w2s_groups.results.provenance import provenance
from w2s_groups.schema.choices import GroupLabels, TableFormat
from w2s_groups.schema.config import Config
from w2s_groups.schema.draws import DrawsConfig

FORMAT = 1  # raised where a reader of older manifests would go wrong
MANIFEST = "manifest.json"
_VALIDATION = ("n_val", "eta_val")
_RULES = {
    "labels": "a method may learn from the labels of its cell's labelled samples",
    "unlabelled": "the unlabelled samples of a cell are used without labels, except by a method "
    "whose card declares uses_true_labels, which is shown as a reference",
    "group_labels": "attributes are used as far as group_labels_used of the card says: none, val "
    "(of the validation set), train (of the labelled, unlabelled and validation sets)",
    "tuning": "settings are chosen on labelled samples or on the validation set, never on test "
    "samples; the card says how many settings were tried",
    "test": "nothing is learnt or chosen from test samples, their names, or other cells",
    "cells": "each cell is trained by itself and predicts every one of its test samples",
}


def folder_of(cfg: DrawsConfig) -> Path:
    """Where the draws of a configuration go."""
    return Path(cfg.to) if cfg.to else Path("draws") / cfg.experiment_name / cfg.data.name


def write(cfg: DrawsConfig, drawing: Drawing, overrides: Iterable[str]) -> Path:
    """Write the table and then the manifest; returns the folder.

    overrides: of the command line. InputError where the folder holds other draws.
    """
    folder = folder_of(cfg)
    name = f"draws.{cfg.format.value}"
    table = _table(drawing, cfg.group_labels)
    data = _encoded(table, cfg.format)
    manifest = {
        "format": FORMAT,
        "code": {"w2s_groups": provenance()["versions"]["w2s_groups"], "numerics": NUMERICS},
        "experiment": cfg.experiment_name,
        "data": cfg.data.name,
        "overrides": kept(cfg, overrides),
        "samples": drawing.samples,
        "noun": drawing.dataset.NOUN,
        "classes": list(drawing.dataset.groups.class_names),
        "group_labels": cfg.group_labels.value,
        "rules": _RULES,
        "files": {name: hashlib.sha256(data).hexdigest()},
        "cells": _listed(drawing.cells),
    }
    manifest["sha256"] = store.digest(manifest)
    if (folder / MANIFEST).is_file() and read(folder)["sha256"] != manifest["sha256"]:
        raise InputError(
            f"{folder} holds other draws, which are kept; name another folder with to=, or delete "
            "it"
        )
    write_atomic(folder / name, data)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    write_atomic(folder / MANIFEST, text.encode())
    return folder


def _listed(cells: Sequence[Drawn]) -> list[dict[str, Any]]:
    has_validation = any(drawn.request["n_val"] for drawn in cells)
    return [
        {
            "cell": drawn.key,
            **{name: drawn.fields[name] for name in drawn.fields if name != "data"},
            **({name: drawn.request[name] for name in _VALIDATION} if has_validation else {}),
            "n_test": len(drawn.rows["test"]),
            "draw": drawn.digest,
        }
        for drawn in cells
    ]


def kept(cfg: Config, overrides: Iterable[str]) -> list[str]:
    """The overrides that say what is drawn, without places, pace, and where the draws went."""
    places = {*names(cfg, Role.place, Role.machine), "to", "format"}
    places |= {f"data.{name}" for name in names(cfg.data, Role.place)}
    return [
        text
        for text in overrides
        if (key := text.partition("=")[0].lstrip("+~")) not in places
        and not key.startswith("hydra")
    ]


def _table(drawing: Drawing, group_labels: GroupLabels) -> pa.Table:
    """cell, set, id, label and, if asked for, attribute: one row a sample of a set of a cell."""
    keys, sets, ids, labels, attributes = ([] for _ in range(5))
    y, a = drawing.dataset.y, drawing.dataset.a
    open_sets = {
        GroupLabels.none: (), GroupLabels.val: ("validation",), GroupLabels.train: SETS[:3],
    }[group_labels]  # fmt: skip
    for k, drawn in enumerate(drawing.cells):
        for s, name in enumerate(SETS):
            rows = drawn.rows[name]
            hidden = np.full(len(rows), -1)
            keys.append(np.full(len(rows), k))
            sets.append(np.full(len(rows), s))
            ids.append(rows)
            of_set = {"labelled": drawn.shown, "validation": y[rows]}
            labels.append(of_set.get(name, hidden))
            attributes.append(a[rows] if name in open_sets else hidden)
    groups = drawing.dataset.groups
    columns = {
        "cell": (keys, [drawn.key for drawn in drawing.cells]),
        "set": (sets, SETS),
        "id": (ids, drawing.ids),
        "label": (labels, groups.class_names),
        **({"attribute": (attributes, groups.attribute_names)} if open_sets else {}),
    }
    return pa.table({name: _column(*of) for name, of in columns.items()})


def _column(codes: list[Any], texts: Sequence[str]) -> pa.DictionaryArray:
    """Texts by code, null for -1."""
    known = np.concatenate(codes)
    indices = pa.array(known.astype(np.int32), mask=known < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts), pa.string()))


def _encoded(table: pa.Table, kind: TableFormat) -> bytes:
    out = io.BytesIO()
    if kind is TableFormat.csv:
        for name, column in zip(table.column_names, table.columns, strict=True):
            texts = column.cast(pa.string()).unique().to_pylist()
            refuse(name, texts, "write the draws with format=parquet")
        pa_csv.write_csv(
            pa.table([column.cast(pa.string()) for column in table.columns], table.column_names),
            out,
        )
    else:
        pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; InputError where there is none, or where it was changed."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        rest = {name: value for name, value in manifest.items() if name != "sha256"}
        whole = store.digest(rest) == manifest["sha256"]
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no {MANIFEST}; name the folder that `w2s-groups draws export` wrote "
            "with --draws"
        ) from None
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); export the draws again") from error
    if not whole:
        raise InputError(f"{path} was changed after it was written; export the draws again")
    if manifest["format"] != FORMAT:
        raise InputError(
            f"{path} has format {manifest['format']}, and this version reads {FORMAT}; export the "
            "draws again, or install the version that wrote it"
        )
    return dict(manifest)


def check(folder: Path, manifest: Mapping[str, Any], drawing: Drawing) -> None:
    """InputError unless the manifest is of these draws: of the data and code of this machine."""
    path = folder / MANIFEST
    if manifest["samples"] != drawing.samples:
        raise InputError(
            f"{path} is of another data set: data={manifest['data']} has other samples, labels or "
            "attributes here; use the same files, or export the draws from these and train again"
        )
    if manifest["classes"] != list(drawing.dataset.groups.class_names):
        raise InputError(f"{path} names other classes than the data set; export the draws again")
    here, there = _listed(drawing.cells), manifest["cells"]
    if here != there:
        differ = sum(cell not in here for cell in there) or abs(len(here) - len(there))
        raise InputError(
            f"{path} is of other draws: {count(differ, 'cell')} of {len(there)} differ from what "
            "its overrides give here; export the draws again and train on them"
        )
