"""Sections across setups and variants: pairs of networks, the papers' claims, sensitivity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_groups.figures import keep_q, similarity
from w2s_groups.methods.variants import of_settings
from w2s_groups.reports.published import comparison, dimensions, every_pair
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.similarity.table import pairs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def across(
    grids: Sequence[Grid], whole: Sequence[Grid], settings: Mapping[str, Any]
) -> tuple[list[Section], dict[str, Figure]]:
    """Sections that compare setups, pairs or variants, and their figures by stem.

    grids: as the report shows them; whole: the same with every variant as a method.
    """
    figures: dict[str, Figure] = {}
    content = [*every_pair(grids), *comparison(grids, settings)]
    content += _similarities(grids, settings, figures)
    content += dimensions(settings)
    content += _sensitivities(whole, settings, figures)
    return content, figures


def _similarities(
    grids: Sequence[Grid], settings: Mapping[str, Any], figures: dict[str, Figure]
) -> Iterator[Section]:
    """Gain against similarity, for each dataset and sizes with enough pairs; adds its figure."""
    setups: dict[tuple[str, int, int], list[Grid]] = {}
    for grid in grids:
        setups.setdefault((grid.data, grid.n_l, grid.n_u), []).append(grid)
    for k, ((data, n_l, n_u), alike) in enumerate(setups.items()):
        dots = similarity.dots(alike, pairs_of(settings))
        if dots:
            stem = "similarity" if len(setups) == 1 else f"similarity_{k + 1}"
            figures[stem] = similarity.draw(dots)
            of = "" if len(setups) == 1 else f": {data}, n_ℓ = {n_l}, n_u = {n_u}"
            yield _similarity(dots, stem, of)


def _sensitivities(
    whole: Sequence[Grid], settings: Mapping[str, Any], figures: dict[str, Figure]
) -> Iterator[Section]:
    """Sensitivity to keep and q, for each setup that varies both; adds its figure."""
    chosen = (settings.get("methods") or {}).get("selective") or {}
    fixed_at = (chosen["keep"], chosen["q"]) if {"keep", "q"} <= set(chosen) else None
    for k, grid in enumerate(whole):
        varied = keep_q.variants(grid, of_settings(settings))
        if varied is not None:
            stem = "keep_q" if len(whole) == 1 else f"keep_q_{k + 1}"
            figures[stem] = keep_q.draw(grid, varied, fixed_at)
            yield _keep_q(grid, varied, stem, len(whole) > 1)


def _similarity(dots: Sequence[similarity.Dot], stem: str, of: str) -> Section:
    rows = tuple(
        (
            f"{dot.teacher} → {dot.student}",
            fixed(dot.share),
            fixed(dot.cka),
            bracket(dot.gain),
        )
        for dot in dots
    )
    rho = ", ".join(
        f"{fixed(similarity.spearman(dots, axis), 2, True)} for {name}"
        for axis, name in (("share", "d_sw / d_w"), ("cka", "CKA"))
    )
    text = (
        "W2S gain on average accuracy, mean over the grid with its interval over seeds, against "
        "how much of the teacher's directions the student shares (DLLL25's correlation dimension, "
        f"corrected for chance, over d_w) and against CKA. Spearman's rho: {rho}. The "
        f"{len(dots)} pairs share networks and so are not independent: no p is given, and which "
        "network is the student may be all that this shows."
    )
    header = ("pair", "d_sw / d_w", "CKA", "W2S gain, average")
    return Section(f"Gain and similarity{of}", (text,), (), f"{stem}.png", header, rows)


def _keep_q(grid: Grid, varied: keep_q.Sensitivity, stem: str, many: bool) -> Section:
    rows = []
    for eta_l in grid.etas_l:
        for keep in varied.keep:
            for q in varied.q:
                method = varied.method.get((keep, q))
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
        f"{grid.noun}s: a sensitivity analysis, not a basis for a choice. In the figure brackets "
        "mark an interval that holds 0, a frame the settings fixed beforehand."
    )
    header = ("η_ℓ", "keep", "q", "average", "worst group", "n")
    return Section(title, (text,), (), f"{stem}.png", header, tuple(rows), 1)
