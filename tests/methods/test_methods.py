"""What each method asks the head solver for, against hand-made cells."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.errors import InputError
from w2s_groups.heads.problem import GCE, CrossEntropy, Head
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Draws, Fitted, one_hot
from w2s_groups.methods.selective import Init, Labels, Selective, Targets, most_confident

HEAD = Head(np.ones((2, 1)), np.zeros(1))
DRAWS = Draws(
    labelled=np.array([0, 1]),
    y_labelled=one_hot(np.array([0, 1]), 2),
    unlabelled=np.array([2, 3, 4, 5]),
    y_unlabelled=one_hot(np.array([0, 0, 1, 1]), 2),
)
TEACHER = np.array([0, 0, 0.4, 0.9, 0.2, 0.7])
STUDENT = np.array([0, 0, 0.5, 0.99, 0.1, 0.6])


def fitted(positive: NDArray[np.float64]) -> Fitted:
    return Fitted(HEAD, lambda rows: np.stack([1 - positive[rows], positive[rows]], axis=1))


SOLVED: Mapping[str, Fitted] = {"teacher": fitted(TEACHER), "w2s": fitted(STUDENT)}


def selective(**changes: object) -> Selective:
    settings = {
        "l2": 1e-3,
        "keep": 0.5,
        "q": 0.7,
        "init": Init.zero,
        "labels": Labels.teacher,
        "targets": Targets.hard,
        **changes,
    }
    return Selective(**settings)  # type: ignore[arg-type]


def test_teacher_baseline_and_ceiling_read_true_labels_of_their_own_sets() -> None:
    teacher = METHODS["teacher"](l2=0.1).problem(DRAWS, {})
    baseline = METHODS["baseline"](l2=0.1).problem(DRAWS, {})
    ceiling = METHODS["ceiling"](l2=0.1).problem(DRAWS, {})
    assert (teacher.side, baseline.side, ceiling.side) == ("teacher", "student", "student")
    for problem in (teacher, baseline):
        assert problem.rows.tolist() == [0, 1]
        assert problem.targets.argmax(axis=1).tolist() == [0, 1]
    assert ceiling.rows.tolist() == [2, 3, 4, 5]
    assert ceiling.targets.argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_w2s_fits_the_teachers_soft_labels() -> None:
    problem = METHODS["w2s"](l2=0.1).problem(DRAWS, SOLVED)
    assert problem.side == "student"
    assert problem.loss == CrossEntropy()
    assert problem.targets[:, 1].tolist() == [0.4, 0.9, 0.2, 0.7]


def test_selective_keeps_the_students_confident_half_with_the_teachers_hard_labels() -> None:
    # Student's entropies order the rows 3 (0.99), 4 (0.1), 5 (0.6), 2 (0.5).
    problem = selective().problem(DRAWS, SOLVED)
    assert problem.rows.tolist() == [3, 4]
    assert problem.targets.tolist() == [[0, 1], [1, 0]]
    assert problem.loss == GCE(0.7)
    assert problem.init is None


def test_selective_options() -> None:
    soft = selective(targets=Targets.soft).problem(DRAWS, SOLVED)
    assert soft.targets[:, 1].tolist() == [0.9, 0.2]
    own = selective(labels=Labels.student, targets=Targets.soft).problem(DRAWS, SOLVED)
    assert own.targets[:, 1].tolist() == [0.99, 0.1]
    assert selective(init=Init.w2s).problem(DRAWS, SOLVED).init is HEAD


def test_keep_one_keeps_every_row() -> None:
    assert selective(keep=1.0).problem(DRAWS, SOLVED).rows.tolist() == [2, 3, 4, 5]


def test_selection_is_stable_and_never_empty() -> None:
    flat = np.full((4, 2), 0.5)
    assert most_confident(flat, 0.5).tolist() == [0, 1]
    assert most_confident(flat, 1e-6).tolist() == [0]
    certain = np.array([[1.0, 0.0], [0.3, 0.7]])  # 0 log 0 = 0
    assert most_confident(certain, 0.5).tolist() == [0]


@pytest.mark.parametrize(
    "bad", [{"keep": 0.0}, {"keep": 1.5}, {"keep": float("nan")}, {"q": 0.0}, {"l2": -1.0}]
)
def test_values_outside_their_range(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        selective(**bad)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_says_what_it_is(name: str) -> None:
    method = METHODS[name]
    assert method.__doc__
    assert method.side in ("teacher", "student")
    assert set(method.needs) <= set(METHODS)
