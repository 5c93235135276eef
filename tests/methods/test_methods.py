"""What each method asks the head solver for, against hand-made cells."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_heads import predict_proba

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import plain
from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import GCE, Confidence, CrossEntropy, Head, Problem, Squared, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Draws, Fitted
from w2s_groups.methods.selective import (
    Init,
    KeepBy,
    Labels,
    Selective,
    Targets,
    kept,
    most_confident,
)

HEAD = Head(np.ones((2, 1)), np.zeros(1))
DRAWS = Draws(
    labelled=np.array([0, 1]),
    y_labelled=one_hot(np.array([0, 1]), 2),
    unlabelled=np.array([2, 3, 4, 5]),
    shuffle=np.array([2, 0, 3, 1]),
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


def test_the_halves_of_selective_retraining() -> None:
    kept = METHODS["selection_only"](l2=0.1, keep=0.5).problem(DRAWS, SOLVED)  # type: ignore[call-arg]
    assert (kept.rows.tolist(), kept.loss) == ([3, 4], CrossEntropy())
    assert kept.targets.tolist() == [[0, 1], [1, 0]]
    robust = METHODS["gce_only"](l2=0.1, q=0.7).problem(DRAWS, SOLVED)  # type: ignore[call-arg]
    assert (robust.rows.tolist(), robust.loss) == ([2, 3, 4, 5], GCE(0.7))
    assert robust.targets[:, 1].tolist() == [0, 1, 0, 1]


def test_other_students() -> None:
    hard = METHODS["hard"](l2=0.1).problem(DRAWS, SOLVED)
    assert (hard.rows.tolist(), hard.targets[:, 1].tolist()) == ([2, 3, 4, 5], [0, 1, 0, 1])
    both = METHODS["combined"](l2=0.1).problem(DRAWS, SOLVED)
    assert both.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert both.targets[:, 1].tolist() == [0, 1, 0.4, 0.9, 0.2, 0.7]
    own = METHODS["confidence"](l2=0.1, alpha=0.25).problem(DRAWS, SOLVED)  # type: ignore[call-arg]
    assert own.loss == Confidence(0.25)
    assert own.init is HEAD
    assert own.targets[:, 1].tolist() == [0.4, 0.9, 0.2, 0.7]
    control = METHODS["self_distilled"](l2=0.1).problem(DRAWS, SOLVED)
    assert control.side == "teacher"
    assert control.targets[:, 1].tolist() == [0.4, 0.9, 0.2, 0.7]


def test_self_distillation_does_nothing_to_least_squares() -> None:
    """The teacher's scores are linear in its features: without penalty they are fitted exactly."""
    X = stream(0, "test/self").normal(size=(60, 5))
    labels = one_hot((X[:, 0] + X[:, 1] > 0).astype(np.int64), 2)
    first = Problem("teacher", np.arange(30), labels[:30], Squared(), 1e-12)
    (teacher,) = solve({"teacher": X}, [first], tol=1e-11)
    known = Fitted(teacher, lambda rows: predict_proba(teacher, X[rows]))
    draws = Draws(np.arange(30), labels[:30], np.arange(30, 60), np.arange(30), labels[30:])
    problem = METHODS["self_distilled"](l2=1e-12).problem(draws, {"teacher": known})
    (again,) = solve({"teacher": X}, [replace(problem, loss=Squared())], tol=1e-11)
    np.testing.assert_allclose(again.coef, teacher.coef, atol=1e-9)
    np.testing.assert_allclose(again.intercept, teacher.intercept, atol=1e-9)


def test_half_of_each_class_that_the_student_decides() -> None:
    positive = np.array([0.9, 0.95, 0.8, 0.7, 0.2, 0.4, 0.99])  # five of the second class
    proba, shuffle = np.stack([1 - positive, positive], axis=1), np.arange(7)
    assert kept(proba, 0.5, shuffle).tolist() == [0, 1, 2, 6]  # 0.8 ties with 0.2, and is first
    assert kept(proba, 0.5, shuffle, KeepBy.classes).tolist() == [0, 1, 4, 6]
    assert kept(proba, 1e-6, shuffle, KeepBy.classes).tolist() == [4, 6]  # one of each at least
    three = np.array([[0.1, 0.2, 0.7], [0.1, 0.3, 0.6], [0.8, 0.1, 0.1]])  # none of the second
    assert kept(three, 0.5, np.arange(3), KeepBy.classes).tolist() == [0, 2]


def test_a_threshold_keeps_what_reaches_it_and_one_row_where_nothing_does() -> None:
    positive = np.array([0.9, 0.95, 0.8, 0.2, 0.4])
    proba, shuffle = np.stack([1 - positive, positive], axis=1), np.arange(5)
    assert kept(proba, 0.5, shuffle, threshold=0.8).tolist() == [0, 1, 2, 3]
    assert kept(proba, 0.5, shuffle, threshold=0.96).tolist() == [1]
    assert kept(proba, 0.5, shuffle, KeepBy.classes, 0.85).tolist() == [0, 1, 3]
    problem = selective(threshold=0.6, keep_by=KeepBy.classes).problem(DRAWS, SOLVED)
    assert problem.rows.tolist() == [3, 4, 5]
    with pytest.raises(InputError, match="threshold"):
        selective(threshold=1.5)


def test_forms_of_keep_are_in_no_key_until_they_are_used() -> None:
    assert not {"keep_by", "threshold"} & set(plain(selective()))
    used = plain(selective(keep_by=KeepBy.classes, threshold=0.9))
    assert (used["keep_by"], used["threshold"]) == ("classes", 0.9)


def test_keep_one_keeps_every_row() -> None:
    assert selective(keep=1.0).problem(DRAWS, SOLVED).rows.tolist() == [2, 3, 4, 5]


def test_selection_breaks_ties_by_the_shuffle_and_is_never_empty() -> None:
    flat = np.full((4, 2), 0.5)
    assert most_confident(flat, 0.5, np.array([3, 0, 2, 1])).tolist() == [1, 3]
    assert most_confident(flat, 1e-6, np.array([3, 0, 2, 1])).tolist() == [1]
    certain = np.array([[1.0, 0.0], [0.3, 0.7]])  # 0 log 0 = 0
    assert most_confident(certain, 0.5, np.array([1, 0])).tolist() == [0]


def test_rounding_breaks_no_tie() -> None:
    p = 0.9 + 1e-14 * np.array([3, -2, 1, 0])
    shuffle = np.array([0, 3, 1, 2])
    assert most_confident(np.stack([p, 1 - p], axis=1), 0.5, shuffle).tolist() == [0, 2]
    tiny = np.array([1e-30, 2e-30, 1e-30])  # far from ties, however close in absolute terms
    proba = np.stack([tiny, 1 - tiny], axis=1)
    assert most_confident(proba, 2 / 3, np.array([0, 1, 2])).tolist() == [0, 2]


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
