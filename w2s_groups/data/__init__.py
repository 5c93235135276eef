"""Datasets: one dataclass each, whose fields are its configuration and whose load reads it.

Those of other packages are found through their entry points.
"""

from __future__ import annotations

import inspect
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.plugins import Origin, Registry
from w2s_groups.data.adult import Adult
from w2s_groups.data.base import DatasetConfig
from w2s_groups.data.bffhq import Bffhq
from w2s_groups.data.birds_mammals import BirdsMammals
from w2s_groups.data.celeba import CelebA
from w2s_groups.data.census_income import CensusIncome
from w2s_groups.data.civilcomments import CivilComments
from w2s_groups.data.colored_digits import ColoredDigits
from w2s_groups.data.compas import Compas
from w2s_groups.data.composite import Composite
from w2s_groups.data.election_tweets import ElectionTweets
from w2s_groups.data.folder import Folder
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.data.german import German
from w2s_groups.data.hub import HubCelebA, HubCivilComments, HubMultiNLI, HubWaterbirds
from w2s_groups.data.huggingface import HuggingFace
from w2s_groups.data.imagenet9 import ImageNet9
from w2s_groups.data.metadata_csv import MetadataCsv
from w2s_groups.data.table import TableFile
from w2s_groups.data.waterbirds import Waterbirds
from w2s_groups.data.wilds import Wilds

BUILT_IN: dict[str, type[DatasetConfig]] = {
    "adult": Adult,
    "bffhq": Bffhq,
    "birds_mammals": BirdsMammals,
    "celeba": CelebA,
    "census_income": CensusIncome,
    "civilcomments": CivilComments,
    "colored_digits": ColoredDigits,
    "compas": Compas,
    "composite": Composite,
    "election_tweets": ElectionTweets,
    "folder": Folder,
    "gaussian": Gaussian,
    "german": German,
    "hub_celeba": HubCelebA,
    "hub_civilcomments": HubCivilComments,
    "hub_multinli": HubMultiNLI,
    "hub_waterbirds": HubWaterbirds,
    "huggingface": HuggingFace,
    "imagenet9": ImageNet9,
    "metadata_csv": MetadataCsv,
    "table": TableFile,
    "waterbirds": Waterbirds,
    "wilds": Wilds,
}


def _adopted(name: str, loaded: Any, origin: Origin) -> type[DatasetConfig]:
    """The class of an entry point."""
    is_kind = isinstance(loaded, type) and issubclass(loaded, DatasetConfig)
    if not is_kind or inspect.isabstract(loaded):
        raise InputError(
            f"{origin.source} offers {loaded!r} as the dataset {name}; offer a subclass of "
            "DatasetConfig that has load (docs/plugins.md)"
        )
    kind: type[DatasetConfig] = loaded
    return kind


DATASETS = Registry[type[DatasetConfig]]("dataset", "w2s_groups.datasets", BUILT_IN, _adopted)
