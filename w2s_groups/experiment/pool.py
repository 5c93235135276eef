"""A dataset and its features as the arrays that cells are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, Dataset
from w2s_groups.design import sampling
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.design.splits import Origin
from w2s_groups.results import store


@dataclass(frozen=True, eq=False)
class Pool:
    """All images as arrays. features: side -> (N, d) standardised; y, codes: (N,).

    drawable: rows that labelled and unlabelled sets come from; test: rows that risks are read from.
    origin: what the images show, where that is known.
    """

    features: Mapping[str, NDArray[np.float32]]
    y: NDArray[np.int64]
    codes: NDArray[np.int64]
    drawable: NDArray[np.int64]
    test: NDArray[np.int64]
    groups: Groups
    priors: NDArray[np.float64]
    origin: Origin | None = None

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.groups.class_names)

    def digest(self) -> str:
        """Stands for the group of each sample, and for which of them may be drawn."""
        return store.digest([self.codes.tolist(), self.drawable.tolist(), self.test.tolist()])


@dataclass(frozen=True, eq=False)
class Pair:
    """A teacher and a student on the rows of a part of the data.

    networks: side -> name; features: -> (N, d); content: -> its key; widths: -> features that vary
    over the rows that are drawn. usable: (N,) rows of the part that can be read. rows: the pool's
    digest. make: gives the pool, from which cells are drawn, and remembers it for a while.
    """

    networks: Mapping[str, str]
    features: Mapping[str, NDArray[np.float32]]
    content: Mapping[str, str]
    widths: Mapping[str, int]
    rows: str
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
    mean, scale = affine(matrix, drawable)
    return np.asarray((matrix - mean) * scale, dtype=np.float32)


def width(matrix: NDArray[np.float32], drawable: NDArray[np.int64]) -> int:
    """Features of (N, d) that vary over the drawable rows; `standardise` makes the others 0."""
    return int(np.count_nonzero(affine(matrix, drawable)[1]))


def affine(
    matrix: NDArray[np.float32], drawable: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (d,) mean and (d,) scale of `standardise`: (x - mean) * scale."""
    reference = np.asarray(matrix[drawable], dtype=np.float64)
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    # A column that varies by rounding only carries nothing and must not be blown up.
    constant = std <= 1e-6 * np.abs(reference).max(axis=0, initial=0.0)
    return mean, np.where(constant, 0.0, 1 / np.where(constant, 1.0, std))


def make_pool(
    dataset: Dataset,
    features: Mapping[str, NDArray[np.float32]],
    usable: NDArray[np.bool_],
    class_balance: str,
    origin: Origin | None = None,
) -> Pool:
    """The usable rows, features (N, d) per side standardised. origin: of all N samples."""
    codes, split = dataset.codes[usable], dataset.split[usable]
    drawable = np.flatnonzero(split != TEST)
    return Pool(
        features={side: standardise(matrix[usable], drawable) for side, matrix in features.items()},
        y=dataset.y[usable],
        codes=codes,
        drawable=drawable,
        test=np.flatnonzero(split == TEST),
        groups=dataset.groups,
        priors=sampling.class_priors(dataset.groups, codes[drawable], class_balance),
        origin=origin and origin.at(usable),
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
