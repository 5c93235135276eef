"""Rebuild every committed report from its table, or list the files that differ from it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.prediction import report, storage
from w2s_groups.reports import leaderboard, places
from w2s_groups.results import committed
from w2s_groups.results.columns import to_csv

_PAYLOAD = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]*")
_BLOCK = re.compile(
    r"(?P<begin><!-- leaderboard (?P<folder>\S+): generated[^\n]*-->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)


def folders(root: Path) -> list[Path]:
    """Folders below `root`/reports that hold a results.csv.gz; InputError if there is none."""
    holding = sorted(path.parent for path in (root / "reports").rglob(committed.NAME))
    if not holding:
        raise InputError(f"{root / 'reports'} holds no {committed.NAME}: run an experiment first")
    return holding


def differences(root: Path) -> list[str]:
    """A line for each committed file that differs from what its table gives; empty if none.

    Pixels are not compared, since they vary with matplotlib: a figure has to be there.
    """
    return [
        f"{path.relative_to(root)}: {fault}"
        for path, fresh in _rebuilt(root)
        if (fault := _fault(path, fresh)) is not None
    ]


def rewrite(root: Path) -> list[str]:
    """Write every file that differs from what its table gives; returns what was written."""
    written = []
    for path, fresh in _rebuilt(root):
        if _fault(path, fresh) is not None:
            if isinstance(fresh, str):
                fresh = committed.packed(fresh) if path.suffix == ".gz" else fresh.encode()
            write_atomic(path, fresh)
            written.append(str(path.relative_to(root)))
    return written


def _rebuilt(root: Path) -> Iterator[tuple[Path, str | bytes]]:
    """Path and content of each file of the committed reports, made from their tables."""
    yield from _leaderboards(root)
    yield from _predictions(root)
    readme = root / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        yield readme, _BLOCK.sub(lambda match: _block(root, match), text)


def _leaderboards(root: Path) -> Iterator[tuple[Path, str | bytes]]:
    for folder in folders(root):
        table, settings, counts = load(folder)
        yield folder / committed.NAME, to_csv(table)
        if counts is not None:
            yield folder / committed.COUNTS, committed.counts_csv(counts)
        scores = committed.read_scores(folder)
        for name, text in committed.scores_csv(scores).items():
            if text is not None:
                yield folder / name, text
        for name, content in leaderboard.build(table, settings, counts, scores).items():
            yield folder / name, content


def _predictions(root: Path) -> Iterator[tuple[Path, str | bytes]]:
    for path in sorted((root / "reports").rglob(storage.SETTINGS)):
        if (path.parent / storage.CELLS).is_file():
            for name, content in report.files(storage.load(path.parent)).items():
                yield path.parent / name, content.decode() if name.endswith(".md") else content
    for path in sorted((root / "reports").rglob(report.EVERY)):
        every = pd.read_csv(io.StringIO(committed.unpacked(path)))
        data = str((places.held(path.parent) or {}).get("data", path.parent.name))
        for name, content in report.files_of_all(data, every).items():
            yield path.parent / name, content.decode() if name.endswith(".md") else content


def _block(root: Path, match: re.Match[str]) -> str:
    folder = root / match["folder"]
    if not (folder / committed.NAME).is_file():
        raise InputError(
            f"README.md shows {match['folder']}, which holds no {committed.NAME}: "
            "restore the report or remove its block"
        )
    content = leaderboard.readme_block(*load(folder))
    return f"{match['begin']}\n{content}\n\n{match['end']}"


def load(folder: Path) -> tuple[pd.DataFrame, Mapping[str, Any], pd.DataFrame | None]:
    """Table, settings and counts of a report's folder; InputError where one is broken."""
    path = folder / "settings.json"
    try:
        settings = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): run the experiment again") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} must hold a JSON object: run the experiment again")
    return committed.read(folder), settings, committed.read_counts(folder)


def _fault(path: Path, fresh: str | bytes) -> str | None:
    if not path.is_file():
        return "missing"
    if isinstance(fresh, bytes):
        return "empty" if path.stat().st_size == 0 else None
    held = committed.unpacked(path) if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        fresh, held = (_PAYLOAD.sub("", text) for text in (fresh, held))
    if fresh == held:
        return None
    pairs = zip(fresh.splitlines(), held.splitlines(), strict=False)
    line = next((k for k, (new, old) in enumerate(pairs, 1) if new != old), None)
    return f"line {line} differs from what {committed.NAME} gives" if line else "length differs"
