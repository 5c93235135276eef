"""What the samples of a data set are to a network: the same for runs, `features` and actors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from w2s_groups import backbones
from w2s_groups.backbones import Backbone, TextEncoder
from w2s_groups.data.base import ImageDataset, Listed, TextDataset
from w2s_groups.features import extraction, hashes, texts
from w2s_groups.features.compute import Items, Run
from w2s_groups.kernel.settings import Ntk

Network = Backbone | TextEncoder


@dataclass(frozen=True)
class How:
    """Settings of networks and of their extraction, as `extraction.extract` describes them.

    ntk, memory: of ntk/NETWORK, as `backbones.get_backbone` takes them.
    """

    image_size: int | None
    ntk: Ntk | None
    memory: int
    batch_size: int
    workers: int
    device: str
    precision: str
    on_bad_image: str


def encoder(dataset: Listed, name: str, how: How) -> Network:
    """A network of images or texts by name. InputError for one that does not read the samples."""
    if isinstance(dataset, TextDataset):
        return backbones.get_encoder(name, how.ntk, how.memory)
    return backbones.get_backbone(name, how.image_size, how.ntk, how.memory)


def contents(dataset: Listed, workers: int, index: Path, verify: str) -> list[str]:
    """A hash of each image or text, or UNREADABLE and why it has none.

    index, verify: as `hashes.contents` takes them, for files.
    """
    if isinstance(dataset, TextDataset):
        return texts.contents(dataset)
    assert isinstance(dataset, ImageDataset)
    return hashes.contents(dataset.root, dataset.files, workers, index, verify)


def prepared(
    dataset: Listed,
    network: Network,
    content: list[str],
    how: How,
    progress: bool = False,
) -> tuple[Items, Run]:
    """The samples and the settings for a network. InputError for a setting out of its range.

    content: what `contents` gives.
    """
    own = how.device, how.precision, how.batch_size, how.workers, progress, how.on_bad_image
    run = extraction.run_of(network, *own)
    if isinstance(dataset, TextDataset):
        assert isinstance(network, TextEncoder)
        return texts.items(dataset, network), run
    assert isinstance(dataset, ImageDataset)
    assert isinstance(network, Backbone)
    return extraction.images(dataset.root, dataset.files, network, content), run


def by_name(dataset: Listed, name: str, content: list[str], how: How) -> tuple[Items, Run]:
    """`prepared` of a network by name, for a process that has none yet."""
    return prepared(dataset, encoder(dataset, name, how), content, how)
