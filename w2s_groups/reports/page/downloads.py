"""The ranked table as CSV and LaTeX, its papers as BibTeX: files that the page itself holds."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from w2s_groups.reports.comparisons import RANKED
from w2s_groups.reports.page import papers
from w2s_groups.reports.suite import Standing
from w2s_groups.results.format import BLANK, fixed
from w2s_groups.results.stats import Interval


class Download(NamedTuple):
    """A link that saves a file. address: a data: address that holds all of it."""

    label: str
    name: str
    address: str


def downloads(rows: Sequence[Standing], bases: Sequence[str]) -> list[Download]:
    """The files. bases: registered methods behind the rows."""
    cards = {row.method: row.card for row in rows if row.card}
    text = json.dumps(cards, indent=1, ensure_ascii=False)
    every = (
        ("CSV", "ranked.csv", "text/csv", as_csv(rows)),
        ("LaTeX", "ranked.tex", "application/x-tex", as_latex(rows)),
        ("BibTeX", "papers.bib", "application/x-bibtex", papers.bibtex(bases)),
        *(
            [("cards of submitted methods", "cards.json", "application/json", text)]
            if cards
            else ()
        ),
    )
    return [Download(label, name, _address(kind, text)) for label, name, kind, text in every]


def _address(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def as_csv(rows: Sequence[Standing]) -> str:
    """Every number of the ranked table with the bounds of its interval, 6 decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    values = [f"{prefix}{metric}" for prefix in ("", "gain_") for metric in RANKED]
    ends = [f"{name}{end}" for name in values for end in ("", "_low", "_high")]
    ranks = [f"rank_{metric}" for metric in RANKED]
    marked = any(row.card for row in rows)
    last = ["group_labels", "tuned", *(["submitted"] if marked else [])]
    writer.writerow(["method", "reference", *ranks, *ends, *last])
    for row in rows:
        intervals = [each[metric] for each in (row.mean, row.gain) for metric in RANKED]
        numbers = [_text(float(end)) for one in intervals for end in one[:3]]
        own = [bool(row.card)] if marked else []
        ranked = [row.rank[metric] for metric in RANKED]
        writer.writerow([row.method, row.reference, *ranked, *numbers, row.labels, row.tuned, *own])
    return out.getvalue()


def _text(value: float) -> str:
    return "" if np.isnan(value) else fixed(value, 6)


def as_latex(rows: Sequence[Standing]) -> str:
    """A booktabs table; references stand below a rule."""
    lines = [
        r"\begin{tabular}{lccccc}",
        r"\toprule",
        r"method & rank & worst group & average & gain, worst group & gain, average \\",
        r"\midrule",
    ]
    for k, row in enumerate(rows):
        if row.reference and k and not rows[k - 1].reference:
            lines.append(r"\midrule")
        cells = [
            _escaped(row.label),
            row.rank["worst_group"].replace("-", "--"),
            *(_math(row.mean[metric]) for metric in reversed(RANKED)),
            *(_math(row.gain[metric], True) for metric in reversed(RANKED)),
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _math(one: Interval, sign: bool = False) -> str:
    r"""`$0.782 \pm 0.012$`; of a lopsided interval the larger half."""
    mean, low, high = (float(part) for part in one[:3])
    if np.isnan(mean):
        return "--"
    half = "" if np.isnan(low) else rf" \pm {fixed(max(mean - low, high - mean))}"
    return f"${fixed(mean, sign=sign)}{half}$".replace(BLANK, "--")


def _escaped(text: str) -> str:
    marks = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(marks.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
