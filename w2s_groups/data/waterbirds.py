"""Waterbirds, in either of the two releases: landbirds and waterbirds on land and on water."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.download import Download
from w2s_groups.data.folder import read_folder
from w2s_groups.data.published import Published, check_counts, find_root
from w2s_groups.design.groups import Groups

GROUPS = Groups(("landbird", "waterbird"), ("land", "water"))
RELEASES = ("waterbirds_v1.0", "waterbird_complete95_forest2water2")
COUNTS = {
    "train": (3498, 184, 56, 1057),
    "val": (467, 466, 133, 133),
    "test": (2255, 2255, 642, 642),
}
# Landbirds that the releases label as waterbirds: folders of CUB-200-2011, as <number>.<species>.
MISLABELLED = ("Eastern_Towhee", "Western_Meadowlark", "Western_Wood_Pewee")


@dataclass
class Waterbirds(Published):
    """y: landbird, waterbird. a: land, water. Source: Sagawa et al., arXiv 1911.08731.

    root: the release's folder or the one above it. check_counts: refuse a release that is not
    whole. correct_species: three species of landbirds are labelled waterbird in the release; true
    makes them landbirds, after the counts are checked.
    """

    check_counts: bool = MISSING
    correct_species: bool = MISSING

    # Its authors' own copy; the host of the copy that wilds packs has been unusable since 2025.
    DOWNLOAD = Download(f"https://nlp.stanford.edu/data/dro/{RELEASES[1]}.tar.gz")
    GET = (
        f"{RELEASES[1]}.tar.gz (11,788 images; data/waterbirds/README.md says where it is and how "
        "to check it)"
    )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return GROUPS

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any((folder / name / "metadata.csv").is_file() for name in ("", *RELEASES))

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        """All images below `root` with their official split."""
        remedy = f"get {self.GET} and unpack it there, or set data.archive to it"
        folder = find_root(root, "metadata.csv", RELEASES, self.name, remedy)
        dataset = read_folder(self.name, folder, GROUPS, self.shown)
        if self.check_counts:
            check_counts(dataset, COUNTS)
        return _corrected(dataset) if self.correct_species else dataset


def _corrected(dataset: ImageDataset) -> ImageDataset:
    """The dataset with y = landbird for the three species that are."""
    species = (file.rpartition("/")[0].rpartition("/")[2] for file in dataset.files)
    landbird = np.array([name.partition(".")[2] in MISLABELLED for name in species])
    if not landbird.any():
        raise InputError(
            f"data.correct_species=true: no folder below {dataset.root} is named as one of "
            f"{', '.join(MISLABELLED)}; set it to false where folders are not CUB's"
        )
    return replace(dataset, y=np.where(landbird, 0, dataset.y))
