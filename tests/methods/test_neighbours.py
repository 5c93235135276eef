"""Nearest neighbours against scikit-learn, smoothing against a linear solve, and who is trusted."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot
from w2s_groups.methods import neighbours
from w2s_groups.methods.base import Draws, Fitted
from w2s_groups.methods.graph_smoothed import GraphSmoothed, smoothed
from w2s_groups.methods.learnt_selector import LearntSelector
from w2s_groups.methods.neighbours import Neighbours, nearest

HEAD = Head(np.ones((2, 1)), np.zeros(1))


def points(n: int, d: int = 5) -> NDArray[np.float32]:
    return stream(0, "test/neighbours").standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize("block", [2**22, 100])
def test_they_are_scikit_learns(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    monkeypatch.setattr(neighbours, "COLUMNS", max(1, block // 8))
    X, rows = points(200), np.arange(20, 170)
    found = nearest(X, rows, np.arange(150)[::-1], 7)
    own = NearestNeighbors(n_neighbors=7).fit(X[rows]).kneighbors(return_distance=False)
    assert np.array_equal(found, np.sort(own, axis=1))


def test_ties_go_to_the_lower_rank_and_no_row_is_its_own_neighbour() -> None:
    X = np.zeros((4, 2), dtype=np.float32)
    found = nearest(X, np.arange(4), np.array([9, 4, 7, 5]), 2)
    assert found.tolist() == [[1, 3], [2, 3], [1, 3], [1, 2]]
    assert nearest(X, np.arange(4), np.arange(4), 10).shape == (4, 3)


def test_repeated_rows_tie_whatever_rounding_says() -> None:
    X = np.repeat(points(30, 64), 4, axis=0)
    shuffle = stream(1, "test/neighbours").permutation(120)
    found = nearest(X, np.arange(120), shuffle, 5)
    # Three twins, and of the nearest other point the two of the lowest ranks.
    for row, own in enumerate(found):
        twins = set(range(row // 4 * 4, row // 4 * 4 + 4)) - {row}
        assert twins < set(own.tolist())
        (other,) = {position // 4 for position in set(own.tolist()) - twins}
        ranked = sorted(range(other * 4, other * 4 + 4), key=lambda at: shuffle[at])
        assert set(own.tolist()) - twins == set(ranked[:2])


def test_what_was_asked_for_is_kept_and_without_features_rows_stand_for_themselves() -> None:
    asked = Neighbours(points(20), np.arange(20), np.arange(20))
    assert asked(3) is asked(3)
    assert asked(4).shape == (20, 4)
    assert Neighbours(None, np.arange(3), np.arange(3))(7).tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.99])
def test_smoothing_solves_its_linear_system(alpha: float) -> None:
    n, k = 40, 4
    found = nearest(points(n), np.arange(n), np.arange(n), k)
    targets = stream(2, "test/neighbours").dirichlet(np.ones(3), n)
    graph = np.zeros((n, n))
    np.put_along_axis(graph, found.astype(np.int64), 1 / k, axis=1)
    expected = np.linalg.solve(np.eye(n) - alpha * graph, (1 - alpha) * targets)
    np.testing.assert_allclose(smoothed(targets, found, alpha), expected, atol=1e-10)
    np.testing.assert_allclose(smoothed(targets, found, alpha).sum(axis=1), 1.0, rtol=1e-12)


# Rows 0 to 2 are labelled; of rows 3 to 6, 3 and 4 are near each other, and 5 and 6.
X = np.array([[9], [9], [9], [0], [0.1], [5], [5.1]], dtype=np.float32)
ROWS = np.arange(3, 7)
DRAWS = Draws(
    np.arange(3), one_hot(np.array([0, 1, 1]), 2), ROWS, np.arange(4),
    neighbours=Neighbours(X, ROWS, np.arange(4)),
)  # fmt: skip
TEACHER = np.array([0.5, 0.5, 0.5, 0.8, 0.2, 0.3, 0.3])
STUDENT = np.array([0.2, 0.9, 0.3, 0.6, 0.1, 0.6, 0.2])


def fitted(positive: NDArray[np.float64]) -> Fitted:
    return Fitted(HEAD, lambda rows: np.stack([1 - positive[rows], positive[rows]], axis=1))


SOLVED = {"teacher": fitted(TEACHER), "w2s": fitted(STUDENT)}


def test_weak_labels_are_smoothed_with_their_nearest() -> None:
    problem = GraphSmoothed(0.1, 1, 0.5).problem(DRAWS, SOLVED)
    # f = y/2 + g/2 and g = z/2 + f/2 for two that are each other's neighbour: f = (2 y + z) / 3.
    np.testing.assert_allclose(problem.targets[:, 1], [0.6, 0.4, 0.3, 0.3], rtol=1e-11)
    assert (problem.side, problem.loss) == ("student", CrossEntropy())
    assert problem.rows.tolist() == ROWS.tolist()


def selected(alpha: float, knows: list[float]) -> tuple[Problem, Problem]:
    """The selector's problem and the student's, for P(IK) on rows 3 to 6."""
    steps = LearntSelector(0.1, 0.7, 2.0, 1, alpha).steps(DRAWS, SOLVED)
    (asked,) = next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send([fitted(np.array([0, 0, 0, *knows]))])
    problem: Problem = stop.value.value
    return asked, problem


def test_the_selector_learns_where_the_student_is_right_on_labelled_images() -> None:
    asked, _ = selected(0.0, [0.0] * 4)
    # The student decides 0, 1, 0, and the labels are 0, 1, 1.
    assert asked.targets.tolist() == [[0, 1], [0, 1], [1, 0]]
    assert (asked.side, asked.l2, asked.rows.tolist()) == ("student", 2.0, [0, 1, 2])


def test_the_students_own_decision_stands_where_it_is_trusted() -> None:
    _, problem = selected(0.0, [0.9, 0.7, 0.6, 0.1])
    assert problem.targets[:, 1].tolist() == [1, 0, 0.3, 0.3]
    _, problem = selected(0.5, [0.0, 0.0, 0.8, 0.0])
    np.testing.assert_allclose(problem.targets[:, 1], [0.6, 0.4, 1.0, 0.3], rtol=1e-11)
