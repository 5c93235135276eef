"""Students that label for students: a chain of falling l2, and rounds at the same l2."""

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_heads import fit, predict_proba

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot
from w2s_groups.methods.base import Draws, Fitted, Method
from w2s_groups.methods.chain import Chain
from w2s_groups.methods.iterated import Iterated

HEAD = Head(np.ones((2, 1)), np.zeros(1))
ROWS = np.arange(2, 5)
DRAWS = Draws(np.arange(2), one_hot(np.array([0, 1]), 2), ROWS, np.arange(3))
LABELS = [np.array([0.1, 0.2, 0.9]), np.array([0.2, 0.3, 0.8]), np.array([0.3, 0.4, 0.7])]


def fitted(positive: NDArray[np.float64]) -> Fitted:
    return Fitted(HEAD, lambda rows: np.stack([1 - positive, positive], axis=1)[rows - 2])


def problems(method: Method, need: str) -> list[Problem]:
    """All problems in order; LABELS are those of what it needs and of its students in turn."""
    first, *later = map(fitted, LABELS)
    steps, found = method.steps(DRAWS, {need: first}), []
    try:
        (problem,) = next(steps)
        for student in later:
            found.append(problem)
            (problem,) = steps.send([student])
    except StopIteration as stop:
        found.append(stop.value)
    return found


def test_a_chain_ends_at_l2_and_each_student_labels_for_the_next() -> None:
    found = problems(Chain(0.01, 3, 10.0), "teacher")
    assert [p.l2 for p in found] == pytest.approx([1.0, 0.1, 0.01], rel=1e-12)
    for problem, labels in zip(found, LABELS, strict=True):
        assert (problem.side, problem.loss) == ("student", CrossEntropy())
        assert problem.rows.tolist() == ROWS.tolist()
        assert problem.targets[:, 1].tolist() == labels.tolist()


def test_a_chain_of_one_student_is_w2s() -> None:
    (problem,) = problems(Chain(0.01, 1, 10.0), "teacher")
    assert (problem.l2, problem.targets[:, 1].tolist()) == (0.01, LABELS[0].tolist())


def test_the_first_l2_of_a_long_chain_is_one_that_a_head_can_have() -> None:
    assert problems(Chain(1.0, 3, 1e6), "teacher")[0].l2 == 1e6


def test_rounds_go_on_from_the_w2s_student() -> None:
    found = problems(Iterated(0.01, 3), "w2s")
    assert [p.l2 for p in found] == [0.01] * 3
    assert [p.targets[:, 1].tolist() for p in found] == [own.tolist() for own in LABELS]
    assert all(p.init is HEAD for p in found)


def test_every_round_shrinks_a_student_that_has_nothing_else_to_learn() -> None:
    """At equal l2 on its own labels a head can only become smaller: self-distillation."""
    rng = stream(0, "test/iterated")
    X = rng.standard_normal((40, 4)).astype(np.float32)
    rows, norms = np.arange(40), []
    targets = one_hot((X[:, 0] > 0).astype(np.int64), 2)
    for _ in range(4):
        head = fit(X, Problem("student", rows, targets, CrossEntropy(), 0.1))
        norms.append(float(np.linalg.norm(head.coef)))
        targets = predict_proba(head, X)
    assert norms == sorted(norms, reverse=True)
