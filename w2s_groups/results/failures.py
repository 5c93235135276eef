"""Cells that failed, whole or in some methods: a row each with the reason, until they are made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json, write_atomic

FOLDER = "failed"


class MethodError(Exception):
    """Methods of a cell failed, and the others are stored; the text says which, and why."""


def save(folder: Path, key: str, fields: Mapping[str, Any], error: BaseException, log: str) -> None:
    """Write a row for a cell that failed: its fields, the error, and the path of the traceback."""
    path = folder / FOLDER / f"{key}.json"
    write_atomic(path.with_suffix(".log"), log.encode())
    row = {
        "cell": key,
        **fields,
        "status": "failed",
        "exception": type(error).__name__,
        "reason": reason(error),
        "log": str(path.with_suffix(".log")),
    }
    write_atomic(path, json.dumps(row, sort_keys=True, indent=1).encode())


def reason(error: BaseException) -> str:
    """An error in one line, with a remedy where memory ran out."""
    text = " ".join(str(error).split()) or type(error).__name__
    # torch and the system's allocator raise a RuntimeError on a CPU.
    torch_says = isinstance(error, RuntimeError) and re.search(r"alloc", text, re.IGNORECASE)
    if isinstance(error, MemoryError) or torch_says:
        return (
            f"{text}: out of memory; lower memory_limit_gb or n_u, run fewer jobs side by side, or "
            "give a job more memory"
        )
    return text


def load(folder: Path, keys: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Rows of the cells that failed and were not made since, in order of their keys."""
    wanted = None if keys is None else set(keys)
    rows = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        if wanted is None or path.stem in wanted:
            try:
                rows.append(read_json(path))
            except InputError:
                raise  # unreadable, which is no damage
            except (OSError, ValueError):
                continue  # removed meanwhile, or half a file: the cell is made again anyway
    return rows


def forget(folder: Path, keys: Iterable[str]) -> None:
    """Remove the rows of cells that are made now."""
    for key in keys:
        for suffix in (".json", ".log"):
            (folder / FOLDER / f"{key}{suffix}").unlink(missing_ok=True)


def sentence(row: Mapping[str, Any]) -> str:
    """One line on a failure."""
    return (
        f"{row['data']}, {row['teacher']} -> {row['student']}, eta_l={row['eta_l']:g}, "
        f"eta_u={row['eta_u']:g}, n_l={row['n_l']}, n_u={row['n_u']}, seed={row['seed']}: "
        f"{why(row)} ({row['log']})"
    )


def is_partial(row: Mapping[str, Any]) -> bool:
    """Whether only some methods of the cell failed."""
    return bool(row["exception"] == MethodError.__name__)


def why(row: Mapping[str, Any]) -> str:
    """The reason of a failure, with the error's type where the reason is its text only."""
    return str(row["reason"]) if is_partial(row) else f"{row['exception']}: {row['reason']}"


def short(error: BaseException) -> str:
    """An error in one line, with its type where it is not the user's."""
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
