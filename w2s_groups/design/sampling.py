"""Index draws with exact integer group counts for a minority fraction eta.

Labelled, unlabelled and validation sets are disjoint, nested along eta and along n for one seed,
and depend on nothing but the pool's groups, the seed and the validation set's own size and mix.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups


def apportion(total: int, shares: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers summing to `total`, as near to total * shares as can be.

    Gives total * shares itself wherever that is whole, and the largest-remainder result for two
    shares (ties to the first). For more it is the Sainte-Laguë quotient rule, because largest
    remainders can take a seat away when the total grows, and then draws would not nest.
    """
    weights = np.asarray(shares, dtype=np.float64) / np.sum(shares)
    # Rounding total * shares misses the total by half a seat a share at most, so a share has the
    # seats below `low`, none from `high` on, and only those between are compared.
    reach = np.count_nonzero(weights) / 2 + 2
    low = np.maximum(np.floor((total - reach) * weights).astype(np.int64) - 1, 0)
    high = np.minimum(np.ceil((total + reach) * weights).astype(np.int64) + 2, total)
    owner = np.repeat(np.arange(len(weights)), high - low)
    seat = np.arange(len(owner)) - np.repeat(np.cumsum(high - low) - high, high - low)
    quotients = weights[owner] / (2 * seat + 1)
    # Compared to 12 digits, so that equal shares tie whatever rounding did to them.
    exponent = np.floor(np.log10(np.where(quotients > 0, quotients, 1.0)))
    rounded = np.round(quotients / 10.0**exponent, 12) * 10.0**exponent
    seats = owner[np.argsort(-rounded, kind="stable")[: total - low.sum()]]
    return np.asarray(low + np.bincount(seats, minlength=len(weights)), dtype=np.int64)


def class_priors(groups: Groups, codes: NDArray[np.int64], balance: str) -> NDArray[np.float64]:
    """(n_classes,) class shares of every draw: equal ("uniform") or the pool's own ("dataset")."""
    n_classes = len(groups.class_names)
    if balance == "uniform":
        return np.full(n_classes, 1 / n_classes)
    counts = np.bincount(groups.class_of[codes], minlength=n_classes)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def group_counts(groups: Groups, priors: ArrayLike, n: int, eta: float) -> NDArray[np.int64]:
    """(n_groups,) whole counts of a set of n with minority fraction eta.

    Class y has n π_y samples, n π_y η of them in its minority groups; several minority (or
    majority) groups of one class share equally. Both margins round to whole numbers, so the set as
    a whole has round(n η) minority samples. A class without minority groups leaves its share of
    n η to the other classes: η is always the minority fraction of the whole set.
    """
    shares = np.asarray(priors, dtype=np.float64)
    return np.array(_group_counts(groups, tuple(shares.tolist()), n, eta), dtype=np.int64)


@functools.lru_cache(maxsize=4096)  # a grid asks for the same few counts in every cell
def _group_counts(groups: Groups, priors: tuple[float, ...], n: int, eta: float) -> tuple[int, ...]:
    pi = np.asarray(priors)
    class_of, minority = groups.class_of, groups.is_minority
    per_class = apportion(n, pi)
    has_minority = np.bincount(class_of[minority], minlength=len(pi)) > 0
    has_majority = np.bincount(class_of[~minority], minlength=len(pi)) > 0
    n_minority = apportion_capped(
        int(np.floor(n * eta + 0.5 + 1e-9)),
        np.where(has_minority, pi, 0.0),
        floor=np.where(has_majority, 0, per_class),
        cap=np.where(has_minority, per_class, 0),
        what=f"eta={eta:g} with n={n}",
    )
    counts = np.zeros(groups.n_groups, dtype=np.int64)
    for y, rare in enumerate(minority.reshape(len(pi), -1)):  # codes of a class follow each other
        of_class = counts.reshape(len(pi), -1)[y]
        for members, size in ((rare, n_minority[y]), (~rare, per_class[y] - n_minority[y])):
            if size:
                of_class[members] = apportion(int(size), np.ones(np.count_nonzero(members)))
    return tuple(counts.tolist())


def apportion_capped(
    total: int,
    shares: NDArray[np.float64],
    floor: NDArray[np.int64],
    cap: NDArray[np.int64],
    what: str,
) -> NDArray[np.int64]:
    """Apportion between per-share bounds; InputError where the bounds exclude the total."""
    if not floor.sum() <= total <= cap.sum():
        raise InputError(
            f"{what} needs {total} minority samples, but the classes that have both minority and "
            f"majority groups allow only {floor.sum()} to {cap.sum()}; choose eta in that range"
        )
    seats = np.clip(apportion(total, shares) if total else np.zeros_like(cap), floor, cap)
    gap = total - int(seats.sum())
    room = cap - seats if gap > 0 else seats - floor
    # The first shares with room take all of the gap that they can.
    seats += np.sign(gap) * np.clip(abs(gap) - np.cumsum(room) + room, 0, room)
    return seats


@dataclass(frozen=True)
class Request:
    """Sizes and minority fractions of one draw."""

    n_l: int
    n_u: int
    eta_l: float
    eta_u: float
    n_val: int = 0
    eta_val: float = 0.5

    def counts(self, groups: Groups, priors: ArrayLike) -> NDArray[np.int64]:
        """(n_groups,) images needed of each group, all sets together."""
        total = np.zeros(groups.n_groups, dtype=np.int64)
        for n, eta in ((self.n_l, self.eta_l), (self.n_u, self.eta_u), (self.n_val, self.eta_val)):
            if n:
                total += group_counts(groups, priors, n, eta)
        return total


@dataclass(frozen=True, eq=False)
class Draw:
    """Row indices into the pool, group after group, each group in the order of its permutation."""

    labelled: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    validation: NDArray[np.int64]
    counts_l: NDArray[np.int64]
    counts_u: NDArray[np.int64]


def serves(groups: Groups, have: NDArray[np.int64], priors: ArrayLike, request: Request) -> bool:
    """Whether (n_groups,) counts are enough for a request."""
    return bool((request.counts(groups, priors) <= have).all())


def check_feasible(
    groups: Groups,
    pool_codes: NDArray[np.int64],
    priors: ArrayLike,
    request: Request,
    also: str = "",
    noun: str = "image",
) -> None:
    """InputError that says how many are missing from which group and what would fit.

    also: another remedy that would do. noun: what the pool is of.
    """
    have = np.bincount(pool_codes, minlength=groups.n_groups)
    need = request.counts(groups, priors)
    short = np.flatnonzero(need > have)
    if len(short) == 0:
        return
    g = int(short[np.argmax((need - have)[short])])
    labelled = int(group_counts(groups, priors, request.n_l, request.eta_l)[g])
    unlabelled = int(group_counts(groups, priors, request.n_u, request.eta_u)[g])
    validation = int(need[g]) - labelled - unlabelled

    def largest(grow: str) -> int:
        low, high = 0, getattr(request, grow)
        while high - low > 1:  # feasibility is monotone in n up to rounding
            middle = (low + high) // 2
            trial = replace(request, **{grow: middle})
            low, high = (middle, high) if serves(groups, have, priors, trial) else (low, middle)
        return low

    without = replace(request, n_u=0)
    field = "n_u" if serves(groups, have, priors, without) else "n_l"
    fix = largest(field)
    remedy = f"largest {field}: {fix}" if fix else "choose smaller n_l and n_u"
    raise InputError(
        f"eta_l={request.eta_l:g} with n_l={request.n_l} and eta_u={request.eta_u:g} with "
        f"n_u={request.n_u} need {need[g]} {noun}s of {groups.names[g]} ({labelled} labelled, "
        f"{unlabelled} unlabelled{f', {validation} validation' if request.n_val else ''}); the "
        f"pool has {have[g]}, {need[g] - have[g]} too few; {remedy}{f'; or {also}' if also else ''}"
    )


def draw(
    groups: Groups, pool_codes: NDArray[np.int64], priors: ArrayLike, request: Request, seed: int
) -> Draw:
    """Disjoint labelled, unlabelled and validation rows of a pool.

    pool_codes: (N,) group codes of the pool's rows; returned indices count within the pool.
    Every group is permuted once from its own stream. The validation set takes the head of the
    permutation, the labelled set what follows, the unlabelled set its tail. So raising an eta swaps
    only the images that it must, and neither set moves when the other's size or eta does.
    """
    check_feasible(groups, pool_codes, priors, request)
    counts_v = np.zeros(groups.n_groups, dtype=np.int64)
    if request.n_val:
        counts_v = group_counts(groups, priors, request.n_val, request.eta_val)
    counts_l = group_counts(groups, priors, request.n_l, request.eta_l)
    counts_u = group_counts(groups, priors, request.n_u, request.eta_u)
    labelled, unlabelled, validation = [], [], []
    names, have = groups.names, np.bincount(pool_codes, minlength=groups.n_groups)
    ends = np.cumsum(have)
    by_group = np.argsort(pool_codes, kind="stable")
    for g in np.flatnonzero(counts_v + counts_l + counts_u):
        order = by_group[ends[g] - have[g] : ends[g]]
        order = stream(seed, f"draw/{names[g]}").permutation(order)
        validation.append(order[: counts_v[g]])
        labelled.append(order[counts_v[g] :][: counts_l[g]])
        unlabelled.append(order[::-1][: counts_u[g]])
    return Draw(
        np.concatenate(labelled),
        np.concatenate(unlabelled),
        np.concatenate(validation),
        counts_l,
        counts_u,
    )
