"""Several weak teachers, their vote, their average and their learnt weights, on hand-made cells."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot
from w2s_groups.methods.base import Draws, Fitted
from w2s_groups.methods.ensemble import Ensemble
from w2s_groups.methods.majority_vote import MajorityVote, majority
from w2s_groups.methods.raven import Raven, easy, stepped
from w2s_groups.methods.several_teachers import resamples, weak_problems

HEAD = Head(np.ones((2, 1)), np.zeros(1))
DRAWS = Draws(
    labelled=np.arange(6),
    y_labelled=one_hot(np.array([0, 0, 0, 0, 1, 1]), 2),
    unlabelled=np.arange(6, 10),
    shuffle=np.arange(4),
    seed=3,
)
# Of each teacher, the probability of the second class on rows 6 to 9.
TEACHERS = np.array([[0.9, 0.2, 0.6, 0.4], [0.8, 0.4, 0.6, 0.3], [0.7, 0.3, 0.1, 0.8]])
PROBA = np.stack([1 - TEACHERS, TEACHERS], axis=2)


def fitted(positive: NDArray[np.float64]) -> Fitted:
    return Fitted(HEAD, lambda rows: np.stack([1 - positive, positive], axis=1)[rows - 6])


def driven(
    method: Ensemble | MajorityVote | Raven, later: Iterator[Fitted]
) -> tuple[list[Problem], list[Problem]]:
    """The weak teachers' problems, and those of students in order."""
    steps = method.steps(DRAWS, {})
    weak = list(next(steps))
    students = []
    answer = [fitted(own) for own in TEACHERS]
    while True:
        try:
            (problem,) = steps.send(answer)
        except StopIteration as stop:
            return weak, [*students, stop.value]
        students.append(problem)
        answer = [next(later)]


def test_resamples_keep_the_size_of_every_class_and_follow_from_the_seed() -> None:
    labels = np.array([0] * 7 + [2] * 3)
    drawn = resamples(labels, 50, 0)
    assert drawn.shape == (50, 10)
    assert (drawn[:, :7].sum(axis=1) == 7).all()
    assert (drawn[:, 7:].sum(axis=1) == 3).all()
    assert np.array_equal(drawn, resamples(labels, 50, 0))
    assert not np.array_equal(drawn, resamples(labels, 50, 1))
    assert len(np.unique(drawn, axis=0)) > 45


def test_a_teacher_is_the_weak_head_on_its_resample() -> None:
    drawn = resamples(np.repeat([0, 1], [4, 2]), 3, DRAWS.seed)
    for own, problem in zip(drawn, weak_problems(DRAWS, 3, 0.5), strict=True):
        assert (problem.side, problem.l2, problem.loss) == ("teacher", 0.5, CrossEntropy())
        assert problem.rows.tolist() == np.flatnonzero(own).tolist()
        assert problem.weights is not None
        assert problem.weights.tolist() == own[own > 0].tolist()
        assert problem.targets.argmax(axis=1).tolist() == (problem.rows >= 4).astype(int).tolist()


def test_the_ensemble_averages_probabilities() -> None:
    weak, (problem,) = driven(Ensemble(0.1, 3, 0.5), iter(()))
    assert len(weak) == 3
    assert problem.side == "student"
    np.testing.assert_allclose(problem.targets[:, 1], [0.8, 0.3, 1.3 / 3, 0.5])


def test_the_majority_is_of_decisions_not_of_probabilities() -> None:
    _, (problem,) = driven(MajorityVote(0.1, 3, 0.5), iter(()))
    # Row 8: two of three say yes, and the average is no; row 9: the other way round.
    assert problem.targets[:, 1].tolist() == [1, 0, 1, 0]


def test_votes_that_tie_go_to_the_larger_average_probability() -> None:
    proba = np.array([[[0.5, 0.4, 0.1]], [[0.1, 0.8, 0.1]], [[0.3, 0.2, 0.5]]])
    assert majority(proba).tolist() == [[0, 1, 0]]
    three = np.array([[[0.6, 0.4, 0.0]], [[0.0, 0.4, 0.6]]])  # the class in between has no vote
    assert majority(three).tolist() == [[1, 0, 0]]


def test_raven_starts_on_the_rows_that_all_teachers_decide_alike() -> None:
    assert easy(PROBA).tolist() == [True, True, False, False]
    assert easy(PROBA[:, 2:]).tolist() == [True, True]  # none: all


def test_weights_follow_the_cross_entropy_with_the_student() -> None:
    student = np.array([[0.2, 0.8]])
    teachers = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    # Losses ln(1/.8) and ln(1/.2): a step of 1 multiplies by .8 and .2.
    found = stepped(np.array([0.5, 0.5]), teachers, student, 1.0)
    np.testing.assert_allclose(found, [0.8, 0.2], rtol=1e-12)
    again = stepped(found, teachers, student, 1.0)
    np.testing.assert_allclose(again, [0.64 / 0.68, 0.04 / 0.68], rtol=1e-12)
    assert stepped(found, teachers, student, 0.0).tolist() == pytest.approx(found.tolist())
    certain = np.array([[0.0, 1.0]])
    assert np.isfinite(stepped(found, teachers, certain, 1e6)).all()


def test_ravens_students_see_easy_rows_then_all_with_the_learnt_weights() -> None:
    later = [np.array([0.9, 0.1, 0.5, 0.5]), np.array([0.9, 0.3, 0.2, 0.7])]
    _, (first, second, last) = driven(Raven(0.1, 3, 0.5, 2.0, 2), map(fitted, later))
    assert first.rows.tolist() == [6, 7]
    np.testing.assert_allclose(first.targets[:, 1], [0.8, 0.3])
    weights = np.full(3, 1 / 3)
    for problem, own in zip((second, last), later, strict=True):
        weights = stepped(weights, PROBA, np.stack([1 - own, own], axis=1), 2.0)
        assert problem.rows.tolist() == [6, 7, 8, 9]
        np.testing.assert_allclose(problem.targets[:, 1], weights @ TEACHERS, rtol=1e-12)
        np.testing.assert_allclose(problem.targets.sum(axis=1), 1.0, rtol=1e-12)
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "bad", [(0, 0.5, 1.0, 2), (3, 0.0, 1.0, 2), (3, 0.5, -1.0, 2), (3, 0.5, 1.0, 0)]
)
def test_values_outside_their_range(bad: tuple[int, float, float, int]) -> None:
    with pytest.raises(InputError, match="raven"):
        Raven(0.1, *bad)
