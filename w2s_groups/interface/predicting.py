"""`predict`: what the command `predict` does, of Python values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.experiment.predict import predict_pair, prepare_maps
from w2s_groups.interface.asked import asked, folders_of
from w2s_groups.interface.data import Data
from w2s_groups.prediction.storage import PairPrediction
from w2s_groups.schema.prediction import PredictConfig


def predict(
    data: Data | str,
    *,
    eta_l: Sequence[float] | None = None,
    eta_u: Sequence[float] | None = None,
    n_l: int | None = None,
    n_u: int | None = None,
    teacher: str | None = None,
    student: str | None = None,
    **settings: Any,
) -> PairPrediction:
    """Accuracies and gains over (eta_l, eta_u), predicted before any head is trained.

    As `w2s-groups predict`: settings are its keys (conf/predict.yaml), such as head, alpha, keep
    and measure. eta_l, eta_u: two values or more of each. The result's `cells` is the map, one row
    a point, method (teacher, w2s, gain), metric and group; `compared` has what was measured where
    measure=True. Raises InputError for what cannot be predicted.
    """
    sizes = {"eta_l": eta_l, "eta_u": eta_u, "n_l": n_l, "n_u": n_u}
    given = {**sizes, "teacher": teacher, "student": student}
    wanted = {key: value for key, value in given.items() if value is not None}
    with folders_of(None) as folders:
        cfg, _ = asked(data, {**wanted, **settings}, folders, "predict")
        assert isinstance(cfg, PredictConfig)
        if len(cfg.pairs) > 1:
            raise InputError("predict maps one pair of networks; name one teacher and one student")
        return predict_pair(cfg, prepare_maps(cfg), *cfg.pairs[0])
