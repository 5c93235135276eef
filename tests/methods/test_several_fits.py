"""Methods of several fits or told groups, against hand-made cells and direct optimisers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_heads import fit, predict_proba
from scipy.optimize import minimize
from scipy.special import expit

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.methods.adaptive_confidence import AdaptiveConfidence, mixed_targets
from w2s_groups.methods.afr import AFR, hardness_weights
from w2s_groups.methods.base import Draws, Fitted, Method
from w2s_groups.methods.dfr import DFR
from w2s_groups.methods.group_dro import GroupDRO
from w2s_groups.methods.jtt import JTT
from w2s_groups.methods.tuned_teacher import TunedTeacher, stratified_folds
from w2s_groups.methods.w2s_tuned import W2STuned

HEAD = Head(np.ones((2, 1)), np.zeros(1))
DRAWS = Draws(
    labelled=np.arange(4),
    y_labelled=one_hot(np.array([0, 0, 1, 1]), 2),
    unlabelled=np.arange(4, 10),
    shuffle=np.array([1, 2, 3, 0, 5, 4]),
    y_unlabelled=one_hot(np.array([0, 0, 0, 0, 1, 1]), 2),
    codes_labelled=np.array([0, 1, 2, 3]),
    codes_unlabelled=np.array([0, 0, 0, 1, 3, 3]),
)
TEACHER = np.array([0, 0, 0, 0, 0.1, 0.2, 0.6, 0.3, 0.8, 0.9])


def fitted(positive: NDArray[np.float64]) -> Fitted:
    return Fitted(HEAD, lambda rows: np.stack([1 - positive[rows], positive[rows]], axis=1))


def drive(
    method: Method,
    draws: Draws,
    solved: Mapping[str, Fitted],
    answer: Callable[[Problem], Fitted],
) -> tuple[list[Sequence[Problem]], Problem]:
    """What it asks for, step by step, and its own problem."""
    steps = method.steps(draws, solved)
    asked = [next(steps)]
    while True:
        try:
            asked.append(steps.send([answer(problem) for problem in asked[-1]]))
        except StopIteration as stop:
            problem: Problem = stop.value
            return asked, problem


def test_folds_deal_out_every_class_evenly() -> None:
    assert stratified_folds(np.array([0, 0, 0, 1, 1, 1, 1]), 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert stratified_folds(np.array([1, 0, 1, 0]), 2).tolist() == [0, 0, 1, 1]
    labels = stream(0, "test/folds").integers(0, 3, 100)
    fold = stratified_folds(labels, 5)
    for label in range(3):
        sizes = np.bincount(fold[labels == label], minlength=5)
        assert np.ptp(sizes) <= 1


def test_the_tuned_teacher_takes_the_l2_of_least_held_out_log_loss() -> None:
    # Probabilities of the second class on the four labelled rows, by l2.
    answers = {1e-2: [0.4, 0.4, 0.6, 0.6], 1e-1: [0.1, 0.1, 0.9, 0.2], 1.0: [0.3, 0.3, 0.7, 0.7]}
    # Log losses: 4 ln(1/.6) = 2.04; 3 ln(1/.9) + ln(1/.2) = 1.93; 4 ln(1/.7) = 1.43.
    method = TunedTeacher(1e-3, list(answers), 2)
    asked, problem = drive(
        method, DRAWS, {}, lambda p: fitted(np.concatenate([answers[p.l2], np.zeros(6)]))
    )
    assert problem.l2 == 1.0
    assert problem.rows.tolist() == [0, 1, 2, 3]
    assert [p.l2 for p in asked[0]] == [1e-2, 1e-2, 1e-1, 1e-1, 1.0, 1.0]
    assert [p.rows.tolist() for p in asked[0][:2]] == [[1, 3], [0, 2]]
    assert {p.side for p in asked[0]} == {"teacher"}


def test_the_tuned_teachers_choice_is_that_of_fits_one_by_one() -> None:
    rng = stream(0, "test/tuned")
    y = rng.integers(0, 2, 60)
    X = (rng.standard_normal((60, 8)) + 0.5 * y[:, None]).astype(np.float32)
    path = [1e-3, 1e-2, 1e-1, 1.0]
    draws = Draws(np.arange(60), one_hot(y, 2), np.arange(1), np.arange(1))
    _, problem = drive(
        TunedTeacher(1e-3, path, 5),
        draws,
        {},
        lambda p: Fitted(head := fit(X, p), lambda rows: predict_proba(head, X[rows])),
    )
    fold, losses = stratified_folds(y, 5), []
    for l2 in path:
        total = 0.0
        for k in range(5):
            inside = np.flatnonzero(fold != k)
            head = fit(X, Problem("teacher", inside, one_hot(y[inside], 2), CrossEntropy(), l2))
            p = predict_proba(head, X[fold == k])
            total -= np.log(p[np.arange(len(p)), y[fold == k]]).sum()
        losses.append(total)
    assert problem.l2 == path[int(np.argmin(losses))]


@pytest.mark.parametrize("path", [[], [0.0], ["a"]])
def test_a_path_that_is_none_is_refused(path: list[object]) -> None:
    with pytest.raises(InputError, match=r"tuned_teacher\.l2_path"):
        TunedTeacher(1e-3, path, 5)


def test_the_student_of_the_tuned_teacher_reads_its_labels() -> None:
    problem = W2STuned(0.1).problem(DRAWS, {"tuned_teacher": fitted(TEACHER)})
    assert problem.targets[:, 1].tolist() == TEACHER[4:].tolist()
    assert problem.side == "student"


def test_jtt_gives_weight_to_what_the_first_student_gets_wrong() -> None:
    # Decisions of the teacher 0 0 1 0 1 1; the first student misses rows 6 and 8.
    first = np.array([0, 0, 0, 0, 0.2, 0.2, 0.4, 0.1, 0.3, 0.9])
    asked, problem = drive(
        JTT(0.01, 3.0, 5.0), DRAWS, {"teacher": fitted(TEACHER)}, lambda _: fitted(first)
    )
    assert asked[0][0].l2 == 3.0
    assert problem.l2 == 0.01
    assert problem.targets.argmax(axis=1).tolist() == [0, 0, 1, 0, 1, 1]
    assert problem.weights is not None
    assert problem.weights.tolist() == [1, 1, 5, 1, 5, 1]


def test_afr_weighs_what_was_held_out_by_how_hard_it_was() -> None:
    # Of two folds the first holds out the even ranks of the shuffle: rows 5, 7 and 9.
    first = np.zeros(10)
    first[[5, 7, 9]] = [0.5, 0.25, 1.0]
    head = fitted(first)
    asked, problem = drive(AFR(0.01, 2, 2.0), DRAWS, {"teacher": fitted(TEACHER)}, lambda _: head)
    assert problem.rows.tolist() == [5, 7, 9]
    assert problem.centre is head.head
    assert sorted([*asked[0][0].rows.tolist(), *problem.rows.tolist()]) == list(range(4, 10))
    p = np.where(TEACHER[problem.rows] > 0.5, first[problem.rows], 1 - first[problem.rows])
    labels = (TEACHER[problem.rows] > 0.5).astype(int)
    assert problem.weights is not None
    assert np.allclose(problem.weights, np.exp(-2 * p) / np.bincount(labels)[labels], rtol=1e-15)


def test_afr_without_hardness_is_class_balance() -> None:
    weights = hardness_weights(np.array([0.1, 0.9, 0.5]), np.array([0, 0, 1]), 0.0)
    assert weights.tolist() == [0.5, 0.5, 1.0]


def test_dfr_gives_every_group_the_same_weight() -> None:
    problem = DFR(0.1).problem(DRAWS, {})
    assert problem.weights is not None
    assert np.allclose(problem.weights, [1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2])
    assert problem.targets.argmax(axis=1).tolist() == [0, 0, 0, 0, 1, 1]


def test_adaptive_confidence_mixes_by_both_cross_entropies() -> None:
    # Two classes at odds: e^CE is 1/0.8 to the own decision, 1/0.2 to the teacher's; beta = 0.2.
    apart = mixed_targets(np.array([[0.2, 0.8]]), np.array([[0.9, 0.1]]))
    np.testing.assert_allclose(apart, [[0.8 * 0.9, 0.8 * 0.1 + 0.2]], rtol=1e-14)
    agreed = mixed_targets(np.array([[0.3, 0.7]]), np.array([[0.4, 0.6]]))  # beta = 1/2
    np.testing.assert_allclose(agreed, [[0.2, 0.8]], rtol=1e-14)
    student, teacher = np.array([[0.5, 0.3, 0.2]]), np.array([[0.1, 0.2, 0.7]])
    to_own, to_teacher = np.exp(-np.log(0.5)), np.exp(-np.log(0.2))
    beta = to_own / (to_own + to_teacher)
    expected = [[0.1 * (1 - beta) + beta, 0.2 * (1 - beta), 0.7 * (1 - beta)]]
    np.testing.assert_allclose(mixed_targets(student, teacher), expected, rtol=1e-14)


def test_adaptive_confidence_goes_on_from_each_student() -> None:
    solved = {"teacher": fitted(TEACHER), "w2s": fitted(np.full(10, 0.4))}
    later = fitted(np.full(10, 0.7))
    asked, problem = drive(AdaptiveConfidence(0.1, 2), DRAWS, solved, lambda _: later)
    rows = DRAWS.unlabelled
    teacher = solved["teacher"].proba(rows)
    assert np.array_equal(asked[0][0].targets, mixed_targets(solved["w2s"].proba(rows), teacher))
    assert np.array_equal(problem.targets, mixed_targets(later.proba(rows), teacher))


def groups_of_unequal_hardness() -> tuple[NDArray[np.float32], Draws]:
    rng = stream(0, "test/dro")
    y = np.repeat([0, 0, 1, 1], [30, 8, 6, 36])
    codes = np.repeat([0, 1, 2, 3], [30, 8, 6, 36])
    centre = np.array([[-1, -1], [-0.2, 1], [0.1, -1], [1, 1]])[codes]
    X = (centre + 0.8 * rng.standard_normal((80, 2))).astype(np.float32)
    rows = np.arange(80)
    return X, Draws(np.arange(1), one_hot(y[:1], 2), rows, rows, one_hot(y, 2), None, codes)


def test_group_dro_reaches_the_least_worst_group_loss() -> None:
    X, draws = groups_of_unequal_hardness()
    assert draws.y_unlabelled is not None
    assert draws.codes_unlabelled is not None
    l2, gap = 0.05, 1e-5
    y, codes = draws.y_unlabelled[:, 1], draws.codes_unlabelled

    def answer(p: Problem) -> Fitted:
        (head,) = solve({"student": X}, [p], tol=1e-9)
        return Fitted(head, lambda rows: predict_proba(head, X[rows]))

    _, problem = drive(GroupDRO(l2, gap, 200), draws, {}, answer)
    head = answer(problem).head

    def losses(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        z = X.astype(np.float64) @ theta[:2] + theta[2]
        each = np.logaddexp(0, z) - y * z
        return np.bincount(codes, each) / np.bincount(codes)

    def slopes(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        z = X.astype(np.float64) @ theta[:2] + theta[2]
        rows = (expit(z) - y)[:, None] * np.column_stack([X, np.ones(80)])
        return np.stack([rows[codes == g].mean(axis=0) for g in range(4)])

    # The epigraph form: least t + l2/2 |w|^2 with every group's loss below t.
    found = minimize(
        lambda v: v[3] + l2 / 2 * (v[:2] @ v[:2]),
        np.array([0, 0, 0, 1.0]),
        jac=lambda v: np.array([l2 * v[0], l2 * v[1], 0, 1]),
        constraints={
            "type": "ineq",
            "fun": lambda v: v[3] - losses(v[:3]),
            "jac": lambda v: np.column_stack([-slopes(v[:3]), np.ones(4)]),
        },
        options={"ftol": 1e-12, "maxiter": 500},
    )
    theta = np.append(head.coef[:, 0], head.intercept[0])
    value = losses(theta).max() + l2 / 2 * (theta[:2] @ theta[:2])
    assert value <= found.fun + gap + 1e-7
    assert losses(theta).max() < losses_of_dfr(X, draws, l2, losses) - 10 * gap


def losses_of_dfr(
    X: NDArray[np.float32],
    draws: Draws,
    l2: float,
    losses: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    head = fit(X, DFR(l2).problem(draws, {}))
    return float(losses(np.append(head.coef[:, 0], head.intercept[0])).max())


def test_group_dro_knows_only_groups_that_are_there() -> None:
    X, draws = groups_of_unequal_hardness()
    assert draws.codes_unlabelled is not None
    assert draws.y_unlabelled is not None
    there = np.flatnonzero(draws.codes_unlabelled != 1)
    some = Draws(
        draws.labelled,
        draws.y_labelled,
        there,
        there,
        draws.y_unlabelled[there],
        None,
        draws.codes_unlabelled[there],
    )

    def answer(p: Problem) -> Fitted:
        head = fit(X, p)
        return Fitted(head, lambda rows: predict_proba(head, X[rows]))

    _, problem = drive(GroupDRO(0.05, 1e-3, 50), some, {}, answer)
    assert problem.weights is not None
    assert np.isfinite(problem.weights).all()
    assert problem.weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_group_dro_says_when_its_rounds_run_out() -> None:
    X, draws = groups_of_unequal_hardness()

    def answer(p: Problem) -> Fitted:
        head = fit(X, p)
        return Fitted(head, lambda rows: predict_proba(head, X[rows]))

    with pytest.warns(UserWarning, match=r"rounds=2 .* gap=1e-06; raise methods\.group_dro\."):
        drive(GroupDRO(0.05, 1e-6, 2), draws, {}, answer)
