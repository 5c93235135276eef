"""Mirrors of the field's sets on the Hugging Face hub, checked by their published counts."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data import celeba, civilcomments, waterbirds
from w2s_groups.data.files.hf_columns import require_columns
from w2s_groups.data.huggingface import HuggingFace
from w2s_groups.data.published import counts_of, difference, exchanged_splits, in_words
from w2s_groups.data.rows import Codes, groups_of
from w2s_groups.design.groups import Groups

Counts = Mapping[str, Sequence[int]]
ALL = "the whole set"  # of sets whose published split is not the hub's: only sums can be compared
# As group DRO's script takes them, from arXiv 1803.02324.
NEGATIONS = frozenset(("nobody", "no", "never", "nothing"))


@dataclass
class HubSet(HuggingFace):
    """A mirror of a published set. hub: its repository; not asked where root or archive is set.

    check_counts: refuse a mirror whose groups are not as large as the release's, in each split: a
    mirror has no other warrant. Splits of which only the names are exchanged are recognised.
    """

    check_counts: bool = MISSING

    def __post_init__(self) -> None:
        if self.root is not None or self.archive is not None:
            self.hub = None
        super().__post_init__()

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(self.class_names or (), self.attribute_names or (), self.minority)

    def published(self) -> Counts:
        """Split, in the order of its code, -> samples per group; or ALL -> their sums."""
        raise NotImplementedError

    def check_labels(self, owner: str, groups: Groups, y: Codes, a: Codes, split: Codes) -> None:
        """InputError unless each split holds as many samples of each group as the release."""
        if self.check_counts:
            counts = counts_of(groups, groups.codes(y, a), split)
            expected = self.published()
            self.compare(owner, groups, counts.sum(0, keepdims=True) if ALL in expected else counts,
                         expected)  # fmt: skip

    def compare(self, owner: str, groups: Groups | None, counts: Codes, expected: Counts) -> None:
        """InputError unless counts, a row for each split of `expected`, are the published ones.

        groups: None where a row is one number, the size of the split.
        """
        exchanged = exchanged_splits(counts, expected)
        if exchanged:
            renamed = [
                f"data.splits.{name}={exchanged[target]}"
                for name, target in self.splits.items()
                if target in exchanged
            ]
            raise InputError(
                f"data {self.name}: in {owner}, {in_words(exchanged)}; set {' '.join(renamed)}, or "
                "name another mirror in data.hub"
            )
        said = difference(groups, "texts" if self.text_columns else "images", counts, expected)
        if said:
            raise InputError(
                f"data {self.name}: {owner} is not the published set: {said}; name another mirror "
                "in data.hub, or set data.check_counts=false for a subset"
            )


@dataclass
class HubWaterbirds(HubSet):
    """Waterbirds as images: label (landbird, waterbird) and place (land, water)."""

    def published(self) -> Counts:
        """Of the release."""
        return waterbirds.COUNTS


@dataclass
class HubCelebA(HubSet):
    """CelebA as images with its 40 attributes and celeb_id, the person."""

    def published(self) -> Counts:
        """Of the release, for Blond_Hair and Male."""
        return celeba.COUNTS


@dataclass
class HubCivilComments(HubSet):
    """CivilComments as the WILDS release has it, its table as one part with a column `split`.

    The columns `toxic` and `mentioned` are made: whether half or more of the raters found a comment
    toxic, or saw `attribute` mentioned, one of civilcomments.IDENTITIES.
    """

    attribute: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attribute not in civilcomments.IDENTITIES:
            raise unknown_name("data.attribute", self.attribute, civilcomments.IDENTITIES)
        if self.attribute_names is None:
            self.attribute_names = list(civilcomments.mention_names(self.attribute))

    def published(self) -> Counts:
        """Of the WILDS release: of groups for `black`, else the size of each split."""
        if self.attribute == "black":
            return civilcomments.BLACK
        return {name: (n,) for name, n in civilcomments.SIZES.items()}

    def compare(self, owner: str, groups: Groups | None, counts: Codes, expected: Counts) -> None:
        """Group by group where those are published, else by the size of each split."""
        if self.attribute != "black":
            groups, counts = None, counts.sum(1, keepdims=True)
        super().compare(owner, groups, counts, expected)

    def _open(self, root: Path, cache: Path) -> Mapping[str, Any]:
        opened, owner = super()._open(root, cache), self.hub or str(root)
        parts = {}
        for name, part in opened.items():
            require_columns(part, ("toxicity", self.attribute), name, owner)
            rated = {"toxic": "toxicity", "mentioned": self.attribute}
            for made, column in rated.items():
                shares = np.array(part[column], dtype=np.float64)
                _check_shares(shares, column, name)
                part = part.add_column(made, (shares >= 0.5).astype(np.int64).tolist())
            parts[name] = part
        if len(parts) > 1:
            return parts
        ((name, part),) = parts.items()
        require_columns(part, ("split",), name, owner)
        split = np.array(part["split"])
        return {kind: part.select(np.flatnonzero(split == kind)) for kind in np.unique(split)}


@dataclass
class HubMultiNLI(HubSet):
    """MultiNLI as pairs of texts. The column `negation` is made: whether the hypothesis holds one.

    Group DRO's own random split (50, 20 and 30 % of train and both validation parts) is on no hub;
    the sums of its published counts are compared, and the sizes of the parts.
    """

    # (contradiction, entailment, neutral) x (without, with negation), sums of group DRO's splits.
    SUMS: ClassVar[Counts] = {ALL: (114909, 22447, 134821, 3020, 133215, 3937)}
    SIZES: ClassVar[Counts] = {"train": (392702,), "val": (9815,), "test": (9832,)}

    def published(self) -> Counts:
        """Sums over group DRO's three splits."""
        return self.SUMS

    def check_labels(self, owner: str, groups: Groups, y: Codes, a: Codes, split: Codes) -> None:
        """Sizes of the parts, then groups over all."""
        if self.check_counts:
            sizes = np.bincount(split, minlength=3)[:, None]
            self.compare(owner, None, sizes, self.SIZES)
        super().check_labels(owner, groups, y, a, split)

    def _open(self, root: Path, cache: Path) -> Mapping[str, Any]:
        opened, (*_, hypothesis) = super()._open(root, cache), self.text_columns
        parts = {}
        for name, part in opened.items():
            require_columns(part, (hypothesis,), name, self.hub or str(root))
            parts[name] = part.add_column("negation", list(has_negation(part[hypothesis])))
        return parts


def has_negation(texts: Iterable[str]) -> Iterable[int]:
    """1 for each text with a word of NEGATIONS, without regard to case and punctuation; else 0."""
    removed = str.maketrans("", "", string.punctuation)
    for text in texts:
        words = (text or "").translate(removed).lower().split(" ")
        yield int(not NEGATIONS.isdisjoint(words))


def _check_shares(shares: np.ndarray[Any, np.dtype[np.float64]], column: str, part: str) -> None:
    """InputError where a share of raters (N,) is not within 0..1."""
    wrong = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
    if len(wrong):
        raise InputError(
            f"data: row {wrong[0]} of split {part}: {column}={shares[wrong[0]]:g} is no share of "
            "raters, 0 to 1; take the row out of the set"
        )
