"""p_w, p_s and p_sw of measured features, and the report of dimensions of one backbone pair.

In LDL25's model φ = z ⊗ ψ, ψ_w = [1; Wᵀξ]: p_w counts *all* of ξ the teacher sees, while group
labels show only what μ_ξ moves, so no estimator from labels can find p. Dimensions identify it:
d_w = p_w d_z, d_s = p_s d_z, and, for one group g at a time, where ξ is isotropic about its mean,
the function spaces overlap in exactly d_z (1 + ‖Ξ‖_F²) = d_z p_sw. Hence

    p_w = Σ_g (n_g/n) d_w^(g) / d_z,   p_s alike,   p_sw = Σ_g (n_g/n) d_sw^(g) / d_z,

d^(g) and the corrected canonical d_sw^(g) taken within minority and within majority. (Pooled groups
would mix Ξ with the shift μ_ξ.) A fraction below 1 of the trace drops at most (1 −
fraction)·trace/λ directions of eigenvalue λ, so it lowers d and p; at fraction 1 they are exact in
the model.

d_z (`core_dimension`): each core feature z_k has one direction whose second moment the shift
inflates, z_k [1; Wᵀξ/s]-like, so d_z is the number of directions in which the minority's second
moment exceeds the pooled one by more than permuting the groups does. It needs Wᵀμ_ξ ≠ 0 and n_g
well above d.

On real features nothing makes φ a product. d_z is then the number of directions that the groups
change detectably, a convention that scales p_w, p_s, p_sw alike and that grows with n; their
*ratios* p_s/p_w, p_sw/p_w are free of it. Teacher and student giving different d_z says how far
the model is. Derived here, not in either paper.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.similarity import dimensions
from w2s_groups.similarity.dimensions import Array, Features, Moments
from w2s_groups.similarity.leading import RANK, Leading, leading, sketch_overlap

FOLDS = 10  # of the jackknife
PERMUTATIONS = 19  # largest of 19: level 1/20
SKETCHES = 5


@dataclass(frozen=True)
class Measurement:
    """A value and its standard error (NaN where there is none)."""

    value: float
    error: float


@dataclass(frozen=True)
class PairReport:
    """Dimensions of one teacher-student pair; names as in `dimensions` and this module.

    Errors: delete-a-tenth jackknife over samples, groups balanced, d_z held fixed. d_sw_sketch:
    mean and standard deviation over sketches (0 where equal widths need none), so without sampling
    error. rank: where features are wide, every number is an estimate within so many leading
    directions of each side (similarity.leading); None: nothing was left out.
    """

    n: int
    fraction: float
    seed: int
    d_w: Measurement
    d_s: Measurement
    d_sw_sketch: Measurement
    chance_sketch: float
    d_sw_canonical: Measurement
    d_sw_corrected: Measurement
    chance_canonical: float
    cka: Measurement
    d_z: int
    d_z_w: int
    d_z_s: int
    p_w: Measurement
    p_s: Measurement
    p_sw: Measurement
    rank: int | None = None


def core_dimension(
    features: Features,
    minority: NDArray[np.bool_],
    classes: NDArray[np.int64],
    seed: int,
    fraction: float,
) -> int:
    """d_z: directions in which the minority's second moment exceeds the pooled one beyond chance.

    features: (n, D <= n); minority: (n,) mask; classes: (n,) labels, within which the null permutes
    the mask, so that a minority share that differs by class is not taken for a group effect. 0:
    nothing detected, also where a group is absent. In 1 of 20 data sets without an effect, chance
    gives at least one direction.
    """
    if not (minority.any() and (~minority).any()):
        return 0
    second = dimensions.moments(features, features[:, :1]).ww
    values, vectors = dimensions.principal("features", second, fraction)
    white = np.empty((len(features), len(values)))
    first = 0
    for block in dimensions.blocks(features):
        white[first : first + len(block)] = block @ (vectors / np.sqrt(values))
        first += len(block)

    def spectrum(mask: NDArray[np.bool_]) -> Array:
        part = white[mask]
        values = np.linalg.eigvalsh(part.T @ part)  # 1/n of the whole for no effect
        return np.asarray(values, dtype=np.float64)

    draw = stream(seed, "core_dimension/permutation")
    edge = 0.0
    for _ in range(PERMUTATIONS):
        shuffled = minority.copy()
        for label in np.unique(classes):
            rows = np.flatnonzero(classes == label)
            shuffled[rows] = draw.permutation(minority[rows])
        edge = max(edge, float(spectrum(shuffled)[-1]))
    return int(np.sum(spectrum(minority) > edge * (1 + 1e-9)))


def pair_report(
    features_w: Features,
    features_s: Features,
    group_codes: NDArray[np.int64],
    groups: Groups,
    *,
    seed: int,
    fraction: float = 0.99,
    d_z: int | None = None,
) -> PairReport:
    """Every dimension of a pair on the same n samples. features_w: (n, D_w); features_s: (n, D_s).

    group_codes: (n,) codes of `groups`. d_z: None estimates it from each model and takes the
    larger, since a model that does not see μ_ξ detects none. n >= 20. p's are NaN where d_z is 0,
    a group is absent, or (p_sw) a group has no more than d_w + d_s samples.
    """
    codes = _checked_codes(features_w, features_s, group_codes, groups, fraction, d_z)
    minority = groups.is_minority[codes]
    classes = codes // len(groups.attribute_names)
    sides = [
        leading("features_w", features_w, fraction, seed),
        leading("features_s", features_s, fraction, seed + 1),
    ]
    kept = sides[0].kept, sides[1].kept
    narrow_w, narrow_s = (dimensions.narrowed(side.features) for side in sides)
    folds = _fold_moments(narrow_w, narrow_s, minority, seed)
    d_z_w, d_z_s = (
        core_dimension(features, minority, classes, seed, fraction / share)
        for features, share in zip((narrow_w, narrow_s), kept, strict=True)
    )
    core = d_z if d_z is not None else max(d_z_w, d_z_s)
    d_w, d_s, canonical, corrected, cka, p_w, p_s, p_sw = _jackknife(folds, core, fraction, kept)
    sizes = int(d_w.value), int(d_s.value)
    return PairReport(
        n=len(codes),
        fraction=fraction,
        seed=seed,
        d_w=d_w,
        d_s=d_s,
        d_sw_sketch=_sketched(features_w, features_s, sides, *sizes, seed),
        chance_sketch=dimensions.sketch_chance(features_w, features_s, *sizes),
        d_sw_canonical=canonical,
        d_sw_corrected=corrected,
        chance_canonical=sizes[0] * sizes[1] / len(codes),
        cka=cka,
        d_z=core,
        d_z_w=d_z_w,
        d_z_s=d_z_s,
        p_w=p_w,
        p_s=p_s,
        p_sw=p_sw,
        rank=RANK if min(kept) < 1 else None,
    )


def _checked_codes(
    features_w: Features,
    features_s: Features,
    group_codes: NDArray[np.int64],
    groups: Groups,
    fraction: float,
    d_z: int | None,
) -> NDArray[np.int64]:
    """group_codes as an array; InputError for anything that `pair_report` cannot take."""
    dimensions.check_fraction(fraction)
    dimensions.check_features("features_w", features_w)
    n = features_w.shape[0]
    dimensions.check_features("features_s", features_s, n)
    if n < 2 * FOLDS:
        raise InputError(f"n={n} samples: the jackknife needs at least {2 * FOLDS}; pass more rows")
    if d_z is not None and d_z < 1:
        raise InputError(f"d_z={d_z} must be at least 1; leave it out to have it estimated")
    codes = np.asarray(group_codes)
    if codes.shape != (n,) or not ((codes >= 0) & (codes < groups.n_groups)).all():
        raise InputError(
            f"group_codes must be {n} codes in 0..{groups.n_groups - 1}, one per sample; "
            "make them with Groups.codes"
        )
    return codes


def _fold_moments(
    features_w: Features, features_s: Features, minority: NDArray[np.bool_], seed: int
) -> list[list[Moments]]:
    """[majority, minority][fold] moments, with each group divided evenly over the folds."""
    fold = np.empty(len(minority), dtype=np.int64)
    draw = stream(seed, "pair_report/folds")
    order = np.concatenate([draw.permutation(np.flatnonzero(minority == g)) for g in (False, True)])
    fold[order] = np.arange(len(minority)) % FOLDS
    return [
        [
            dimensions.moments(features_w[rows], features_s[rows])
            for k in range(FOLDS)
            for rows in [np.flatnonzero((minority == g) & (fold == k))]
        ]
        for g in (False, True)
    ]


def _jackknife(
    folds: list[list[Moments]], d_z: int, fraction: float, kept: tuple[float, float]
) -> list[Measurement]:
    """`_statistics` of all samples, with delete-a-fold standard errors."""
    totals = [reduce(operator.add, of_group) for of_group in folds]
    left_out = np.array(
        [
            _statistics(
                [total - of_group[k] for total, of_group in zip(totals, folds, strict=True)],
                d_z, fraction, kept,
            )
            for k in range(FOLDS)
        ]
    )  # fmt: skip
    errors = np.sqrt((FOLDS - 1) / FOLDS * np.sum((left_out - left_out.mean(0)) ** 2, axis=0))
    values = _statistics(totals, d_z, fraction, kept)
    return [Measurement(float(v), float(e)) for v, e in zip(values, errors, strict=True)]


def _statistics(
    parts: list[Moments], d_z: int, fraction: float, kept: tuple[float, float]
) -> Array:
    """(8,) d_w, d_s, canonical and corrected d_sw, CKA, p_w, p_s, p_sw from moments by group.

    kept: as in dimensions.overlap. The p's are NaN without d_z or where a group is absent.
    """
    pooled = parts[0] + parts[1]
    whole = dimensions.overlap(pooled, fraction, kept)
    of_groups = np.full(3, np.nan)
    if d_z > 0 and all(part.n > 0 for part in parts):
        overlaps = [dimensions.overlap(part, fraction, kept) for part in parts]
        shares = np.array([part.n for part in parts]) / sum(part.n for part in parts) / d_z
        of_groups = shares @ np.array([[o.d_w, o.d_s, o.corrected] for o in overlaps])
    return np.array(
        [whole.d_w, whole.d_s, whole.raw, whole.corrected, dimensions.cka(pooled), *of_groups]
    )


def _sketched(
    features_w: Features,
    features_s: Features,
    sides: Sequence[Leading],
    d_w: int,
    d_s: int,
    seed: int,
) -> Measurement:
    """Mean and standard deviation over sketches; equal widths need no sketch and have no error."""
    count = SKETCHES if features_w.shape[1] != features_s.shape[1] else 1
    both_wide = all(side.directions is not None for side in sides)
    values = np.array(
        [
            sketch_overlap(sides[0], sides[1], d_w, d_s, seed + k)
            if both_wide
            else dimensions.sketch_overlap(features_w, features_s, d_w, d_s, seed + k)
            for k in range(count)
        ]
    )
    return Measurement(float(values.mean()), float(values.std(ddof=1)) if count > 1 else 0.0)
