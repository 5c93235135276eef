"""Features wider than EXACT as coordinates along their leading directions, and what that costs.

Eigenvalues of D features take D^3 operations and D^2 numbers, many times over in a jackknife. Above
EXACT features, dimensions are estimates within the RANK leading right singular vectors of the
features, found by a randomised range finder (Halko, Martinsson and Tropp, SIAM Review 2011,
algorithms 4.4 and 5.1, as torch.svd_lowrank has them).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import torch
from w2s_groups.core.seeds import stream
from w2s_groups.similarity import dimensions
from w2s_groups.similarity.dimensions import Array, Features

EXACT = 2048  # features at most of which nothing is left out
RANK = 1024  # directions of wider features
_HELD = 26  # moments of both sides that the jackknife holds at a time: 20 folds, and sums of them
_EIGEN = 33  # times that it takes all eigenvectors of a side: 11 samples, whole and by group
_SPECTRA = 20  # times that a spectrum is taken, at a third of the cost


@dataclass(frozen=True, eq=False)
class Leading:
    """Features as (n, k) coordinates along (D, k) orthonormal directions; None: as they came.

    kept: share of the trace of their second moment that the coordinates have.
    """

    features: Features
    directions: Array | None = None
    kept: float = 1.0

    @property
    def width(self) -> int:
        """D, the number of features that they had."""
        return int(self.features.shape[1] if self.directions is None else len(self.directions))


def leading(name: str, features: Features, fraction: float, seed: int) -> Leading:
    """(n, D) features; of more than EXACT columns, coordinates along their leading directions.

    These lose nothing up to EXACT samples, and are RANK above. The same seed gives the same
    directions. InputError where they hold less than `fraction` of the trace, so that no dimension
    at that fraction could be read from them.
    """
    if features.shape[1] <= EXACT:
        return Leading(features)
    if not is_wide(features.shape):
        whole = np.concatenate(list(dimensions.blocks(features)))
        directions, triangle = np.linalg.qr(whole.T)
        return Leading(triangle.T, directions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        *_, found = torch.svd_lowrank(torch.from_numpy(np.asarray(features)), RANK, niter=2)
    directions = np.linalg.qr(found.numpy().astype(np.float64))[0]
    blocks = [block @ directions for block in dimensions.blocks(features)]
    total = sum(float(np.sum(block**2)) for block in dimensions.blocks(features))
    kept = sum(float(np.sum(block**2)) for block in blocks) / total if total else 1.0
    if kept < fraction:
        raise InputError(
            f"the {RANK} leading directions of {name} hold {kept:.1%} of the trace, and "
            f"fraction={fraction} needs more; lower it, or reduce the features"
        )
    return Leading(np.concatenate(blocks), directions, kept)


def sketch_overlap(w: Leading, s: Leading, d_w: int, d_s: int, seed: int) -> float:
    """`dimensions.sketch_overlap` of two sides with directions, in their spans only."""
    r, bases = min(w.width, s.width), []
    for name, side, d in (("features_w", w, d_w), ("features_s", s, d_s)):
        assert side.directions is not None
        seen = side.directions
        if side.width > r:
            draw = stream(seed, "correlation_dimension/sketch")
            seen = draw.standard_normal((side.width, r)).T @ seen / np.sqrt(r)
        basis, triangle = np.linalg.qr(seen)
        root = side.features @ triangle.T
        bases.append(basis @ dimensions.principal(name, root.T @ root, 1.0)[1][:, :d])
    return float(np.sum((bases[1].T @ bases[0]) ** 2))


def is_wide(shape: tuple[int, ...]) -> bool:
    """Whether (n, D) features have more than EXACT dimensions."""
    return min(shape) > EXACT


def need(n: int, *widths: int) -> int:
    """Bytes that a report of n samples takes at its peak, without the features themselves."""
    sizes = [RANK if is_wide((n, width)) else min(n, width) for width in widths]
    moments = 8 * _HELD * (sum(size**2 for size in sizes) + int(np.prod(sizes)))
    white = 12 * n * max(sizes)  # one side, and the rows of one group of it
    wide = [width for width in widths if is_wide((n, width))]
    narrowed = [width for width in widths if width > n and width not in wide]
    # Sketches in float32 and coordinates in float64; a copy in float64 and its QR factors.
    return (
        moments
        + white
        + sum(24 * RANK * (n + width) for width in wide)
        + sum(24 * n * width for width in narrowed)
    )


def seconds(n: int, *widths: int) -> float:
    """About how long that takes here, from the time of one eigenproblem and of one product."""
    size = 384
    block = np.random.default_rng(0).standard_normal((size, size))
    started = time.perf_counter()
    product = block @ block.T
    multiplied = time.perf_counter()
    np.linalg.eigh(product)
    eigen = (time.perf_counter() - multiplied) / size**3
    multiply = (multiplied - started) / size**3
    total = 0.0
    for width in widths:
        k = RANK if is_wide((n, width)) else min(n, width)
        total += (_EIGEN + _SPECTRA / 3) * eigen * k**3 + (_SPECTRA + 3) * multiply * n * k**2
        total += 8 * multiply * n * width * RANK if is_wide((n, width)) else 0.0
    return total
