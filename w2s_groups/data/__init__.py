"""Image datasets, one dataclass each: its fields are the configuration, load reads the images."""

from __future__ import annotations

from w2s_groups.data.birds_mammals import BirdsMammals
from w2s_groups.data.composite import Composite
from w2s_groups.data.folder import Folder

DATASETS: dict[str, type] = {
    "birds_mammals": BirdsMammals,
    "composite": Composite,
    "folder": Folder,
}
