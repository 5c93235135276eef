"""What `w2s-groups compose` prints: counts of the folder, and the command that runs on it."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import shipped
from w2s_groups.data.base import TEST
from w2s_groups.data.compositing.folder import SPLITS
from w2s_groups.data.compositing.layout import Row, Split
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request, check_feasible, class_priors
from w2s_groups.schema.fields import as_folder


def table(groups: Groups, splits: Sequence[Split], rows: Sequence[Row]) -> str:
    """Images per group and split, and the identities that each split uses; a column a split."""
    totals = [sum(split.counts) for split in splits]
    minority = [
        sum(np.array(split.counts)[groups.is_minority]) / total
        for split, total in zip(splits, totals, strict=True)
    ]
    images = [
        ["images", *(SPLITS[split.code] for split in splits)],
        *([name, *map(str, counts)] for name, *counts in zip(
            groups.names, *(split.counts for split in splits), strict=True
        )),
        ["all", *map(str, totals)],
        ["minority fraction", *(f"{fraction:.4g}" for fraction in minority)],
    ]  # fmt: skip
    n_classes = len(groups.class_names)
    names = [f"{name} cut-outs" for name in groups.class_names]
    names += [f"{name} photographs" for name in groups.attribute_names]
    used: dict[int, list[set[str]]] = {s.code: [set() for _ in names] for s in splits}
    for row in rows:
        used[row.split][row.y].add(row.cutout[0])
        used[row.split][n_classes + row.a].add(row.background[0])
    identities = [["identities", *images[0][1:]]]
    for k, name in enumerate(names):
        identities.append([name, *(str(len(used[split.code][k])) for split in splits)])
    return f"{_aligned(images)}\n\n{_aligned(identities)}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def next_command(name: str, out: Path, groups: Groups, rows: Sequence[Row]) -> str:
    """The command that runs the benchmark on the folder, with sizes that the folder can serve."""
    pool = [row for row in rows if row.split != TEST]
    codes = groups.codes([row.y for row in pool], [row.a for row in pool])
    asked = servable(groups, codes)
    if asked is None:
        return "The folder is too small for the benchmark, which needs about 20 training images."
    words = [
        "data=folder",
        f"data.name={_text(as_folder(name))}",
        f"data.root={_text(str(out))}",
        f"data.class_names=[{','.join(map(_text, groups.class_names))}]",
        f"data.attribute_names=[{','.join(map(_text, groups.attribute_names))}]",
    ]
    default = Groups(groups.class_names, groups.class_names).minority
    if groups.minority != default or len(groups.class_names) != len(groups.attribute_names):
        pairs = ",".join(f"[{y},{a}]" for y, a in sorted(groups.minority))
        words.append(f"data.minority=[{pairs}]")
    words += ["data.identity_column=identity", "data.place_column=place_filename"]
    words += [f"{field}={value}" for field, value in asked.items()]
    command = " \\\n    ".join(["python -m w2s_groups", *map(shlex.quote, words)])
    why = ""
    if "eta_l" in asked:
        why = ", at its own minority fraction, as it has too few images for others"
    elif asked:
        why = ", with the most images that it can serve at every minority fraction of the grid"
    return f"{textwrap.fill(f'Run the benchmark on it{why}:', 80)}\n\n  {command}"


def servable(groups: Groups, codes: NDArray[np.int64]) -> dict[str, Any] | None:
    """Overrides of conf/config.yaml's sizes and fractions, where a pool of these codes needs any.

    The default grid at the largest sizes that fit, in its own proportion; where these are fewer
    than 16 images, only the pool's own minority fraction; None if that fails too.
    """
    defaults = OmegaConf.load(shipped("conf", "conf") / "config.yaml")
    wanted = defaults.n_l + defaults.n_u
    priors = class_priors(groups, codes, defaults.class_balance)
    own = round(min(float(groups.is_minority[codes].mean()), 0.5), 4)
    for etas in ((list(defaults.eta_l), list(defaults.eta_u)), ([own], [own])):

        def fits(total: int, etas: tuple[list[float], list[float]] = etas) -> bool:
            first = round(total * defaults.n_l / wanted)
            try:
                for eta_l, eta_u in itertools.product(*etas):
                    request = Request(first, total - first, eta_l, eta_u)
                    check_feasible(groups, codes, priors, request)
            except InputError:
                return False
            return True

        total = _largest(wanted, fits)
        first = round(total * defaults.n_l / wanted)
        if first >= 4 and total >= 16:
            sizes = {"n_l": first, "n_u": total - first} if total < wanted else {}
            grid = {"eta_l": f"[{own}]", "eta_u": f"[{own}]"} if etas == ([own], [own]) else {}
            return {**grid, **sizes}
    return None


def _largest(wanted: int, fits: Callable[[int], bool]) -> int:
    """The largest n <= wanted that fits; feasibility is monotone in n up to rounding."""
    if fits(wanted):
        return wanted
    low, high = 0, wanted
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _text(value: str) -> str:
    """`value` as Hydra reads back: in quotes unless it is plainly a word or a path."""
    word = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*|/[A-Za-z0-9_./-]+", value)
    if word and value.lower() not in ("true", "false", "null", "nan", "inf"):
        return value
    return "'" + value.replace("'", "\\'") + "'"
