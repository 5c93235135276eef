"""A sheet of sample images, a row for each group. For looking at a dataset, not for publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import ImageDataset
from w2s_groups.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(dataset: ImageDataset, per_group: int = 6, seed: int = 0) -> Figure:
    """Figure with `per_group` images of each group, picked by `seed` from all splits.

    An empty group is named and left blank. Raises InputError that names an image it cannot read.
    """
    if per_group < 1:
        raise InputError(f"per_group={per_group} must be at least 1: it is images per row")
    groups, codes = dataset.groups, dataset.codes
    figure = style.new_figure(1.25 * per_group + 0.2, 1.5 * groups.n_groups + 0.5)
    axes = figure.subplots(groups.n_groups, per_group, squeeze=False)
    figure.suptitle(f"{dataset.name}: {len(dataset.files)} images", fontsize=11)
    for code, name in enumerate(groups.names):
        members = np.flatnonzero(codes == code)
        order = stream(seed, f"figures/samples/{name}").permutation(members)
        for column in range(per_group):
            panel = axes[code, column]
            panel.set_axis_off()
            if column < order.size:
                panel.imshow(_pixels(dataset, int(order[column])))
        few = ", minority" if groups.is_minority[code] else ""
        axes[code, 0].set_title(f"{name}{few}: {members.size} images", fontsize=9, loc="left")
    return figure


def _pixels(dataset: ImageDataset, row: int, side: int = 160) -> NDArray[np.uint8]:
    path = dataset.root / dataset.files[row]
    try:
        with Image.open(path) as image:
            image.thumbnail((side, side))
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"image {dataset.files[row]} under {dataset.root} cannot be read ({error}): "
            "replace it or leave it out of the dataset"
        ) from error
