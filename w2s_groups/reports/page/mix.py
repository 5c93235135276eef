"""Group mix of the kept sets as bars: what was drawn above what selection kept."""

from __future__ import annotations

from html import escape

import numpy as np

from w2s_groups.results.format import fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import mean_interval

LEFT, WIDTH, BAR, ROW = 112, 640, 15, 42
SHADES = 6


def draw(grid: Grid) -> str:
    """A picture for each method that keeps a part; nothing where none does."""
    out = []
    for m, name in enumerate(grid.methods):
        if np.isnan(grid.kept_share[:, m]).all():
            continue
        out.append(_bars(grid, m, method_label(name)))
    if not out:
        return ""
    keys = "".join(
        f'<li><span class="g{g % SHADES}">{_letter(g)}</span> {escape(name)}'
        f"{' (minority)' if few else ''}</li>"
        for g, (name, few) in enumerate(zip(grid.groups, grid.minority, strict=True))
    )
    return f'<ul class="groups">{keys}</ul><div class="mixes">{"".join(out)}</div>'


def _letter(g: int) -> str:
    return chr(ord("A") + g) if g < 26 else str(g + 1)


def _bars(grid: Grid, m: int, label: str) -> str:
    parts, k = [], 0
    for p, (eta_l, eta_u) in enumerate(grid.points):
        kept = np.asarray(mean_interval(grid.kept_share[p, m].T).mean)
        counts = grid.drawn["unlabelled"][p]
        drawn = np.asarray(mean_interval((counts / counts.sum(axis=-1, keepdims=True)).T).mean)
        if np.isnan(kept).all():
            continue
        top = k * ROW + 4
        parts.append(f'<text x="0" y="{top + 11}">η_ℓ {eta_l:g}</text>')
        parts.append(f'<text x="0" y="{top + BAR + 13}">η_u {eta_u:g}</text>')
        for row, (name, shares) in enumerate((("drawn", drawn), ("kept", kept))):
            y = top + row * (BAR + 2)
            parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 11}">{name}</text>')
            parts += _stack(shares, y, grid.groups)
        k += 1
    title = f"{label}: group mix of the unlabelled set and of what is kept"
    height = k * ROW + 4
    return (
        f'<figure class="mix"><figcaption>{escape(label)}</figcaption><div class="scroll tall" '
        f'tabindex="0" role="group" aria-label="{escape(title)}"><svg viewBox="0 0 {WIDTH} '
        f'{height}" width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>The table below holds these shares.</desc>"
        f"{''.join(parts)}</svg></div></figure>"
    )


def _stack(
    shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]], y: int, names: object
) -> list[str]:
    parts, x, room = [], float(LEFT), WIDTH - LEFT - 2
    for g, share in enumerate(shares):
        if np.isnan(share) or share <= 0:
            continue
        wide = float(share) * room
        at, size = fixed(x, 1), fixed(wide, 1)
        parts.append(
            f'<rect class="g{g % SHADES}" x="{at}" y="{y}" width="{size}" height="{BAR}"/>'
        )
        percent = f" {fixed(100 * float(share), 0 if wide < 60 else 1)} %" if wide > 44 else ""
        if wide > 11:
            middle = fixed(x + wide / 2, 1)
            parts.append(
                f'<text class="mid g{g % SHADES}" x="{middle}" y="{y + 11}">'
                f"{_letter(g)}{percent}</text>"
            )
        x += wide
    return parts
