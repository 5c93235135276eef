"""Figures: each function takes what `run`, `predict` or `datasets.load` gave, returns a Figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset
from w2s_groups.figures import gain_vs_eta_u as _gains
from w2s_groups.figures import samples as _samples
from w2s_groups.interface.data import Data
from w2s_groups.interface.results import Results
from w2s_groups.prediction.figures import maps, measured, sizes
from w2s_groups.prediction.storage import PairPrediction
from w2s_groups.results.format import noun_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gain_vs_eta_u(results: Results, setup: int = 0) -> Figure:
    """Gain of students over their teacher against eta_u, a panel for each eta_l.

    setup: which of the results' setups (data, networks, n_l, n_u), in their order. Raises
    InputError for another number, and without a teacher.
    """
    grids = results.grids()
    if not 0 <= setup < len(grids):
        raise InputError(f"setup={setup} is none of the {len(grids)} setups; give 0 to count - 1")
    if grids[setup].index("teacher") is None:
        raise InputError("the results have no teacher to gain over; run it, too")
    return _gains.draw(grids[setup])


def prediction_map(prediction: PairPrediction) -> Figure:
    """Predicted teacher, student and gain over (eta_l, eta_u), with what was measured as discs."""
    return maps.draw(prediction.cells, prediction.compared)


def gain_vs_size(prediction: PairPrediction) -> Figure:
    """Predicted gain against n_l and n_u at the corners of the map."""
    n = {name: prediction.settings[name] for name in ("n_l", "n_u")}
    return sizes.draw(prediction.sizes, n, noun_of(prediction.settings))


def predicted_vs_measured(prediction: PairPrediction, metric: str = "average") -> Figure:
    """Predicted against measured accuracies of one metric; InputError without measure=True."""
    if prediction.compared is None:
        raise InputError("nothing was measured; predict with measure=True")
    names = {name: prediction.settings[name] for name in ("teacher", "student")}
    rows = prediction.compared[prediction.compared["metric"] == metric].assign(**names)
    if rows.empty:
        known = ", ".join(prediction.compared["metric"].unique())
        raise InputError(f"metric={metric!r} was not measured; give one of {known}")
    return measured.draw(rows, metric, metric)


def samples(data: Data, per_group: int = 6, seed: int = 0) -> Figure:
    """Images of each group; InputError for data that are no images."""
    if not isinstance(data.dataset, ImageDataset):
        raise InputError(f"{data.dataset.name} holds {data.dataset.NOUN}s and no images to show")
    return _samples.draw(data.dataset, per_group, seed)
