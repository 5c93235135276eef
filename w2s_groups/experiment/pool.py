"""A dataset and its features as the arrays that cells are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core import mapped
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, Dataset
from w2s_groups.design import sampling
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.design.splits import Origin
from w2s_groups.heads.problem import Predictor, one_hot
from w2s_groups.results import store


class Target(NamedTuple):
    """A numeric target. values: (N,) with mean 0 and variance 1 over the drawable rows.

    variance: of the target there, in its own units. Ridge heads with a free intercept follow the
    target's shift and scale, so that they are the same heads in both.
    """

    values: NDArray[np.float64]
    variance: float

    @classmethod
    def of(cls, target: NDArray[np.float64], drawable: NDArray[np.int64]) -> Target:
        """Of (N,) numbers; InputError where they are the same in all drawable rows."""
        known = target[drawable]
        spread = float(known.std())
        if not spread > 1e-12 * float(np.abs(known).max(initial=0.0)):
            raise InputError(
                "task=regression: the target has the same value in every row of the pool, so that "
                "there is nothing to learn; name another data.target_column"
            )
        return cls((target - known.mean()) / spread, spread**2)


Labels = NDArray[np.float64]
Floats = NDArray[np.float64]
Affine = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class Pool:
    """All images as arrays. features: side -> (N, d) standardised; y, codes: (N,).

    drawable: rows that labelled and unlabelled sets come from; test: rows that risks are read from.
    origin: what the images show, where that is known. target: what heads learn in place of y; None
    where they learn classes. prompted: as in methods.base.Draws.
    """

    features: Mapping[str, NDArray[np.float32]]
    y: NDArray[np.int64]
    codes: NDArray[np.int64]
    drawable: NDArray[np.int64]
    test: NDArray[np.int64]
    groups: Groups
    priors: NDArray[np.float64]
    origin: Origin | None = None
    target: Target | None = None
    prompted: Callable[[Sequence[str]], Predictor] | None = None

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.groups.class_names)

    def labels(self, rows: NDArray[np.int64], order: NDArray[np.int64] | None = None) -> Labels:
        """What heads are fitted to on rows (n,): one-hot (n, C), or numbers (n, 1).

        order: (N,) rows whose labels stand in their place, if others do.
        """
        shown = rows if order is None else order[rows]
        if self.target is not None:
            return self.target.values[shown, None]
        return one_hot(self.y[shown], self.n_classes)

    def digest(self) -> str:
        """Stands for the group of each sample, for which of them may be drawn, and for a target."""
        rows = [self.codes.tolist(), self.drawable.tolist(), self.test.tolist()]
        if self.target is not None:
            rows += [self.target.values.tolist(), self.target.variance]
        return store.digest(rows)


@dataclass(frozen=True, eq=False)
class Pair:
    """A teacher and a student on the rows of a part of the data.

    networks: side -> name; features: -> (N, d); content: -> its key; widths: -> features that vary
    over the rows that are drawn. rows: the pool's digest; priors: its class shares; variance: of
    its target, if any. usable: (N,) rows of the part that can be read. make: gives the pool, from
    which cells are drawn, and remembers it for a while.
    """

    networks: Mapping[str, str]
    features: Mapping[str, NDArray[np.float32]]
    content: Mapping[str, str]
    widths: Mapping[str, int]
    rows: str
    priors: list[float]
    variance: float | None
    usable: NDArray[np.bool_]
    make: Callable[[], Pool]

    @property
    def pool(self) -> Pool:
        """The rows as arrays."""
        return self.make()


def standardise(matrix: NDArray[np.float32], drawable: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, d) features with mean 0 and variance 1 over the drawable rows; constant columns are 0.

    One affine map for a whole pool: no label and no test image enters it, and all cells share it.
    """
    return stored_rows(matrix, np.arange(len(matrix)), affine(matrix, drawable))[:]


def stored_rows(matrix: Any, rows: NDArray[np.int64], standard: Affine) -> mapped.Stored:
    """Rows of (N, d) under an affine map, each when it is asked for."""
    mean, scale = standard
    if isinstance(matrix, mapped.Stored):
        return mapped.Stored(matrix.matrix, matrix.order[rows], mean, scale)
    return mapped.Stored(matrix, rows, mean, scale)


def width(matrix: NDArray[np.float32], drawable: NDArray[np.int64]) -> int:
    """Features of (N, d) that vary over the drawable rows; `standardise` makes the others 0."""
    shown = matrix[drawable]
    low, high = (end.astype(np.float64) for end in (shown.min(axis=0), shown.max(axis=0)))
    # The variance of n numbers is at least range^2 / 2n. Whoever clears ten times the bound of
    # `affine` so needs no exact variance, which takes five times as long.
    clear = high - low > 1e-5 * np.sqrt(2 * len(shown)) * np.maximum(np.abs(low), np.abs(high))
    scale = affine(shown[:, ~clear], np.arange(len(shown)))[1]
    return int(np.count_nonzero(clear) + np.count_nonzero(scale))


def affine(matrix: Any, drawable: NDArray[np.int64], ordered: bool = True) -> Affine:
    """The (d,) mean and (d,) scale of `standardise`: (x - mean) * scale.

    Sums go row after row, as numpy's of the columns of a matrix do: the same bits in any blocks.
    ordered: False where rows may be added in the order of the file, which moves the last bits.
    """

    def parts() -> Iterator[NDArray[np.float32]]:
        if ordered:
            return mapped.parts(matrix, drawable)
        size = mapped.rows_at_once(matrix.shape[1])
        return (part for _, part in mapped.blocks(matrix, drawable, size))

    total, squares, largest = np.zeros((3, matrix.shape[1]))
    for raw in parts():
        part = raw.astype(np.float64)
        largest = np.maximum(largest, np.abs(part).max(axis=0))
        total = np.add.reduce(np.concatenate([total[None], part]), axis=0)
    mean = total / len(drawable)
    for raw in parts():
        part = np.square(raw - mean)
        squares = np.add.reduce(np.concatenate([squares[None], part]), axis=0)
    std = np.sqrt(squares / len(drawable))
    # A column that varies by rounding only carries nothing and must not be blown up.
    constant = std <= 1e-6 * largest
    return mean, np.where(constant, 0.0, 1 / np.where(constant, 1.0, std))


def make_pool(
    dataset: Dataset,
    features: Mapping[str, NDArray[np.float32]],
    usable: NDArray[np.bool_],
    class_balance: str,
    origin: Origin | None = None,
    numeric: bool = False,
    stored: Mapping[str, Affine] | None = None,
) -> Pool:
    """The usable rows, features (N, d) per side standardised. origin: of all N samples.

    numeric: heads learn the target. stored: side -> what `affine` gives, for features that stay
    where they are and are read by rows; None for features in memory.
    """
    codes, split = dataset.codes[usable], dataset.split[usable]
    drawable = np.flatnonzero(split != TEST)
    rows = np.flatnonzero(usable)
    own: dict[str, Any] = {}
    for side, matrix in features.items():
        if stored is None:
            own[side] = stored_rows(matrix, rows, affine(matrix, rows[drawable]))[:]
        else:
            own[side] = stored_rows(matrix, rows, stored[side])
    return Pool(
        features=own,
        y=dataset.y[usable],
        codes=codes,
        drawable=drawable,
        test=np.flatnonzero(split == TEST),
        groups=dataset.groups,
        priors=sampling.class_priors(dataset.groups, codes[drawable], class_balance),
        origin=origin and origin.at(usable),
        target=Target.of(dataset.target[usable], drawable)
        if numeric and dataset.target is not None
        else None,
    )


def check_requests(
    dataset: Dataset,
    usable: NDArray[np.bool_],
    class_balance: str,
    requests: Iterable[Request],
    if_all: NDArray[np.int64] | None = None,
) -> None:
    """InputError unless the usable pool serves every request; no feature is needed to know.

    if_all: (n_groups,) images that data.pool=all would leave to draw from, to say so if it helps.
    """
    groups = dataset.groups
    codes = dataset.codes[(dataset.split != TEST) & usable]
    priors = sampling.class_priors(groups, codes, class_balance)
    have = np.bincount(codes, minlength=groups.n_groups)
    for request in dict.fromkeys(requests):
        if sampling.serves(groups, have, priors, request):
            continue
        also = ""
        if if_all is not None and if_all.any():
            larger = np.repeat(np.arange(groups.n_groups), if_all)
            shares = sampling.class_priors(groups, larger, class_balance)
            with suppress(InputError):  # an eta that those shares of classes can't have
                also = "data.pool=all" if sampling.serves(groups, if_all, shares, request) else ""
        sampling.check_feasible(groups, codes, priors, request, also, dataset.NOUN)
