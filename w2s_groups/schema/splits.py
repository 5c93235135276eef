"""How pool and test are split: once as the data come, in crossed folds, or at random again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import Dataset, check_fraction, in_range
from w2s_groups.design import splits
from w2s_groups.design.splits import Fold, Origin


@dataclass
class Given:
    """The split that the data come with, or that their own settings make."""

    name: str = MISSING


@dataclass
class Several(ABC):
    """Several splits, each with its own draws.

    split_seed: of the splits. every_seed: every seed in every split, where false gives each split
    its own share of the seeds.
    """

    name: str = MISSING
    split_seed: int = MISSING
    every_seed: bool = MISSING

    def __post_init__(self) -> None:
        in_range("splits.split_seed", self.split_seed, 0, 2**63)

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of splits."""

    @abstractmethod
    def folds(self, of: Origin) -> list[Fold]:
        """The splits of samples of that origin."""

    @abstractmethod
    def check(self, dataset: Dataset) -> None:
        """InputError where the data do not have what the splits are made of."""

    def runs(self, seeds: list[int]) -> list[tuple[int, int]]:
        """(fold, seed) of every draw, those of a fold together."""
        if self.every_seed:
            return [(fold, seed) for fold in range(self.n) for seed in seeds]
        if len(seeds) % self.n:
            raise InputError(
                f"splits={self.name} makes {self.n} splits, and {len(seeds)} seeds cannot be "
                f"shared equally among them; set n_seeds={self.n}, or splits.every_seed=true"
            )
        return [(fold, seed) for fold in range(self.n) for seed in seeds[fold :: self.n]]


@dataclass
class Crossed(Several):
    """Crossed folds of identities and places: every pair of the two is tested exactly once.

    identity_folds, place_folds: of each. audit: of what heads are also drawn from halves of each
    pool, at the last point of the grid: "identities", "places", both or none. The spread of these
    shows how much it matters which ones are there to learn from.
    """

    identity_folds: int = MISSING
    place_folds: int = MISSING
    audit: list[str] = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("splits.identity_folds", self.identity_folds, 2, 100)
        in_range("splits.place_folds", self.place_folds, 1, 100)
        for which in self.audit:
            if which not in splits.HALVES:
                raise unknown_name("splits.audit", which, splits.HALVES)
        if len(set(self.audit)) < len(self.audit):
            raise InputError(f"splits.audit={self.audit} repeats a name; list each once")

    @property
    def n(self) -> int:
        """Number of splits."""
        return self.identity_folds * self.place_folds

    def folds(self, of: Origin) -> list[Fold]:
        """The splits of samples of that origin."""
        return splits.crossed(of, self.identity_folds, self.place_folds, self.split_seed)

    def check(self, dataset: Dataset) -> None:
        """InputError where the data do not know enough identities or places."""
        if dataset.identity is None:
            raise InputError(
                f"splits=crossed needs data that know what each {dataset.NOUN} shows, and "
                f"data={dataset.name} names no identities; set data.identity_column, or "
                "splits=random"
            )
        if self.place_folds > 1 and dataset.place is None:
            raise InputError(
                f"splits.place_folds={self.place_folds} needs data that know where each "
                f"{dataset.NOUN} was taken, and data={dataset.name} names no places; set "
                "splits.place_folds=1"
            )
        if "places" in self.audit and dataset.place is None:
            raise InputError(
                f"splits.audit={self.audit} needs data that know places, and data={dataset.name} "
                "names none; set splits.audit=[identities]"
            )
        for kind, names, n in (
            ("identity", dataset.identity, self.identity_folds),
            ("place", dataset.place, self.place_folds),
        ):
            if names is not None and len(set(names)) < 2 * n:
                raise InputError(
                    f"splits.{kind}_folds={n} needs {2 * n} of them or more, and "
                    f"data={dataset.name} has {len(set(names))}; lower splits.{kind}_folds"
                )


@dataclass
class Random(Several):
    """Independent random splits of the identities, or of the samples where they are not known.

    splits: how many. test_fraction: of the identities (and places, where known) that are tested.
    """

    splits: int = MISSING
    test_fraction: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("splits.splits", self.splits, 2, 10**4)
        check_fraction("splits.test_fraction", self.test_fraction)

    @property
    def n(self) -> int:
        """Number of splits."""
        return self.splits

    def folds(self, of: Origin) -> list[Fold]:
        """The splits of samples of that origin."""
        return splits.random(of, self.splits, self.test_fraction, self.split_seed)

    def check(self, dataset: Dataset) -> None:
        """InputError where a class has one identity only, which can't be on both sides."""
        if dataset.identity is not None and len(set(dataset.identity)) < 4:
            raise InputError(
                f"splits=random needs 4 identities or more, and data={dataset.name} has "
                f"{len(set(dataset.identity))}; set splits=given"
            )


SPLITS: dict[str, type[Given] | type[Several]] = {
    "given": Given,
    "crossed": Crossed,
    "random": Random,
}
