"""What a report says across setups and variants: pairs, the papers' claims, sensitivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from w2s_groups.figures import keep_q, similarity
from w2s_groups.methods.variants import of_settings
from w2s_groups.reports.published import comparison, dimensions, every_pair
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.similarity.table import pairs_of


def across(
    grids: Sequence[Grid], whole: Sequence[Grid], settings: Mapping[str, Any]
) -> tuple[list[Section], dict[str, Figure]]:
    """Sections that no single setup owns, and their figures by stem.

    grids: as the report shows them; whole: the same with every variant as a method.
    """
    content = [*every_pair(grids), *comparison(grids, settings)]
    figures: dict[str, Figure] = {}
    setups: dict[tuple[str, int, int], list[Grid]] = {}
    for grid in grids:
        setups.setdefault((grid.data, grid.n_l, grid.n_u), []).append(grid)
    for k, ((data, n_l, n_u), alike) in enumerate(setups.items()):
        found = similarity.dots(alike, pairs_of(settings))
        if found:
            stem = "similarity" if len(setups) == 1 else f"similarity_{k + 1}"
            figures[stem] = similarity.draw(found)
            of = "" if len(setups) == 1 else f": {data}, n_ℓ = {n_l}, n_u = {n_u}"
            content.append(_similarity(found, stem, of))
    content += dimensions(settings)
    chosen = (settings.get("methods") or {}).get("selective") or {}
    fixed_at = (chosen["keep"], chosen["q"]) if {"keep", "q"} <= set(chosen) else None
    for k, grid in enumerate(whole):
        varied = keep_q.variants(grid, of_settings(settings))
        if varied is not None:
            stem = "keep_q" if len(whole) == 1 else f"keep_q_{k + 1}"
            figures[stem] = keep_q.draw(grid, varied, fixed_at)
            content.append(_keep_q(grid, varied, stem, len(whole) > 1))
    return content, figures


def _similarity(found: Sequence[similarity.Dot], stem: str, of: str) -> Section:
    rows = tuple(
        (
            f"{dot.teacher} → {dot.student}",
            fixed(dot.share),
            fixed(dot.cka),
            bracket(dot.gain),
        )
        for dot in found
    )
    rho = ", ".join(
        f"{fixed(similarity.spearman(found, axis), 2, True)} for {name}"
        for axis, name in (("share", "d_sw / d_w"), ("cka", "CKA"))
    )
    text = (
        "W2S gain on average accuracy, mean over the grid with its interval over seeds, against "
        "how much of the teacher's directions the student shares (DLLL25's correlation dimension, "
        f"corrected for chance, over d_w) and against CKA. Spearman's rho: {rho}. The "
        f"{len(found)} pairs share networks and so are not independent: no p is given, and which "
        "network is the student may be all that this shows."
    )
    header = ("pair", "d_sw / d_w", "CKA", "W2S gain, average")
    return Section(f"Gain and similarity{of}", (text,), (), f"{stem}.png", header, rows)


def _keep_q(grid: Grid, found: keep_q.Sensitivity, stem: str, many: bool) -> Section:
    rows = []
    for eta_l in keep_q.eta_ls(grid):
        for keep in found.keep:
            for q in found.q:
                method = found.method.get((keep, q))
                cells = [
                    BLANK if method is None else bracket(keep_q.gain(grid, metric, method, eta_l))
                    for metric in keep_q.METRICS
                ]
                rows.append((f"{eta_l:g}", f"{keep:g}", f"{q:g}", *cells, str(grid.smallest_n)))
    title = "Sensitivity to keep and q"
    if many:
        title += f": {grid.data}, {setup_name(grid)}"
    text = (
        "Selective retraining − W2S, mean over η_u with its t interval over seeds, on test "
        f"{grid.noun}s: to be read as a sensitivity, not to choose from. In the figure brackets "
        "mark an interval that holds 0, a frame the settings fixed beforehand."
    )
    header = ("η_ℓ", "keep", "q", "average", "worst group", "n")
    return Section(title, (text,), (), f"{stem}.png", header, tuple(rows), 1)
