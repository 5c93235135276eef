"""Accuracy, AUROC, log loss and Brier score are scikit-learn's, with weights and ties too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from w2s_groups.results.scores.accuracy import accuracy
from w2s_groups.results.scores.auroc import auroc
from w2s_groups.results.scores.brier import brier
from w2s_groups.results.scores.log_loss import LEAST, log_loss

N = 300


def made(n_classes: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Probabilities with ties, classes that depend on them, weights."""
    rng = np.random.default_rng(seed)
    proba = rng.multinomial(20, rng.dirichlet(np.full(n_classes, 0.7), N)) / 20
    y = (rng.random((N, 1)) > np.cumsum(0.6 * proba + 0.4 / n_classes, axis=1)).sum(axis=1)
    return proba, np.minimum(y, n_classes - 1), rng.exponential(size=N)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_four_are_scikit_learns(n_classes: int, weighted: bool) -> None:
    proba, y, weights = made(n_classes)
    weight = weights if weighted else None
    own = proba.argmax(axis=1)
    assert accuracy(proba, y, weight) == pytest.approx(
        metrics.accuracy_score(y, own, sample_weight=weight)
    )
    scores, how = (proba[:, 1], {}) if n_classes == 2 else (proba, {"multi_class": "ovr"})
    if n_classes == 2 or not weighted:
        theirs = metrics.roc_auc_score(y, scores, sample_weight=weight, **how)
    else:  # scikit-learn takes no weights of several classes
        areas = [
            metrics.roc_auc_score(y == k, s, sample_weight=weight) for k, s in enumerate(proba.T)
        ]
        theirs = np.mean(areas)
    assert auroc(proba, y, weight) == pytest.approx(theirs)
    inside = np.maximum(proba[np.arange(N), y], LEAST)
    assert log_loss(proba, y, weight) == pytest.approx(np.average(-np.log(inside), weights=weight))
    labels = list(range(n_classes))
    theirs = metrics.brier_score_loss(
        y, proba[:, 1] if n_classes == 2 else proba, sample_weight=weight, labels=labels
    )
    assert brier(proba, y, weight) == pytest.approx(theirs)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_log_loss_is_scikit_learns_where_nothing_is_clipped(n_classes: int) -> None:
    proba, y, weights = made(n_classes, 1)
    inside = 0.98 * proba + 0.02 / n_classes
    theirs = metrics.log_loss(y, inside, sample_weight=weights, labels=list(range(n_classes)))
    assert log_loss(inside, y, weights) == pytest.approx(theirs)
    certain = np.eye(n_classes)[(y + 1) % n_classes]
    assert log_loss(certain, y) == pytest.approx(12 * np.log(2))


def test_weights_count_rows() -> None:
    """A weight of 2 is the row twice, of 0 the row left out."""
    proba, y, _ = made(3)
    weights = np.arange(N) % 3
    rows = np.repeat(np.arange(N), weights)
    for measure in (accuracy, auroc, log_loss, brier):
        assert measure(proba, y, weights) == pytest.approx(measure(proba[rows], y[rows]))


def test_one_class_has_no_auroc_and_no_rows_have_nothing() -> None:
    proba, y, _ = made(3)
    assert np.isnan(auroc(proba[y < 2], y[y < 2]))
    assert np.isnan(auroc(proba[y == 1][:, :2], y[y == 1]))
    none = np.empty((0, 2)), np.empty(0, dtype=np.int64)
    assert all(np.isnan(measure(*none)) for measure in (accuracy, auroc, log_loss, brier))


def test_equal_scores_are_decided_for_the_first_class() -> None:
    half = np.full((4, 2), 0.5)
    assert accuracy(half, np.array([0, 0, 0, 1])) == 0.75
    assert auroc(half, np.array([0, 0, 0, 1])) == 0.5
