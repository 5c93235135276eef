"""A block of cells on a small pool with known structure, against fits done one by one."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_heads import fit, gradient_norm, objective_value, predict_proba

from w2s_groups.core.seeds import stream
from w2s_groups.design import sampling
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import draw_of, run_block
from w2s_groups.experiment.fit import Solver
from w2s_groups.experiment.lockstep import levels
from w2s_groups.experiment.pool import Pool, standardise
from w2s_groups.heads.problem import GCE, CrossEntropy, Head, Problem, Squared, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Draws, Fitted, Steps
from w2s_groups.methods.selective import Init, Labels, Selective, Targets
from w2s_groups.methods.teacher import Teacher
from w2s_groups.results.stats import Interval, mean_interval
from w2s_groups.schema.cells import Cell

GROUPS = Groups(("mammal", "bird"), ("land", "water"))
SELECTIVE = Selective(1e-2, 0.5, 0.7, Init.zero, Labels.teacher, Targets.hard)
PLAIN = ("teacher", "w2s", "baseline", "ceiling")
ALL = {n: METHODS[n](l2=1e-2) for n in PLAIN} | {"selective": SELECTIVE}


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Gaussian features: the class shows in both sides, the attribute mostly in the teacher's."""
    rng = stream(0, "test/pool")
    y, a = rng.integers(0, 2, (2, 600))
    core, spurious = (2 * y - 1)[:, None], (2 * a - 1)[:, None]
    teacher = np.concatenate([0.6 * core, spurious, np.zeros((600, 4))], axis=1)
    student = np.concatenate([1.2 * core, 0.3 * spurious, np.zeros((600, 8))], axis=1)
    noisy = {
        side: standardise((x + rng.standard_normal(x.shape)).astype(np.float32), np.arange(400))
        for side, x in {"teacher": teacher, "student": student}.items()
    }
    return Pool(
        noisy, y, GROUPS.codes(y, a), np.arange(400), np.arange(400, 600), GROUPS, np.full(2, 0.5)
    )


def one_by_one(
    features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
) -> list[Head]:
    return [fit(features[p.side], p, 1e-8) for p in problems]


GRID = [(eta_l, eta_u, s) for eta_l in (0.1, 0.5) for eta_u in (0.1, 0.5) for s in (0, 1)]
CELLS = [Cell(Request(40, 80, eta_l, eta_u), seed) for eta_l, eta_u, seed in GRID]


def value(atoms: list[dict], **where: object) -> list[float]:  # type: ignore[type-arg]
    return [r["value"] for r in atoms if all(r[k] == v for k, v in where.items())]


def test_methods_are_solved_after_what_they_need() -> None:
    assert levels(ALL) == [["teacher"], ["w2s", "baseline", "ceiling"], ["selective"]]
    assert levels({name: ALL[name] for name in ("baseline", "teacher")}) == [
        ["baseline", "teacher"]
    ]


def test_cells_of_a_block_equal_cells_run_alone(pool: Pool) -> None:
    together = run_block(CELLS, pool, ALL, one_by_one)
    for cell, atoms in zip(CELLS, together, strict=True):
        assert run_block([cell], pool, ALL, one_by_one)[0] == atoms


def test_shared_fits_are_solved_once(pool: Pool) -> None:
    solved: list[int] = []

    def counting(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        solved.append(len(problems))
        return one_by_one(features, problems)

    run_block(CELLS, pool, ALL, counting)
    # 2 seeds x 2 eta_l teachers and baselines, 2 seeds x 2 eta_u ceilings, and one per cell.
    assert solved == [4, 8 + 4 + 4, 8]


def test_atoms_of_one_cell_by_hand(pool: Pool) -> None:
    cell = CELLS[1]
    atoms = run_block([cell], pool, ALL, one_by_one)[0].records
    draw = sampling.draw(GROUPS, pool.codes[:400], pool.priors, cell.request, cell.seed)
    targets = np.eye(2)[pool.y[draw.labelled]]
    x = pool.features["teacher"]
    teacher = fit(x, Problem("teacher", draw.labelled, targets, CrossEntropy(), 1e-2), 1e-8)
    predicted = predict_proba(teacher, x).argmax(axis=1)
    for g, name in enumerate(GROUPS.names):
        here = np.flatnonzero((pool.codes == g) & (np.arange(600) >= 400))
        expected = np.mean(predicted[here] == pool.y[here])
        assert value(atoms, method="teacher", split="test", group=name) == [expected]
    drawn = value(atoms, metric="count", split="unlabelled")
    assert drawn == [36, 4, 4, 36]


def test_kept_set_mix_is_recorded_for_selective_alone(pool: Pool) -> None:
    atoms = run_block(CELLS[:1], pool, ALL, one_by_one)[0].records
    kept = [r for r in atoms if r["split"] == "kept" and r["metric"] == "fraction"]
    assert {r["method"] for r in atoms if r["split"] == "kept"} == {"selective"}
    assert sum(r["value"] for r in kept) == pytest.approx(1)
    assert sum(r["n"] for r in kept) == 40


def test_agreement_of_all_pairs_of_methods_by_hand(pool: Pool) -> None:
    decided: dict[bytes, NDArray[np.int64]] = {}

    def spying(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        heads = one_by_one(features, problems)
        for problem, head in zip(problems, heads, strict=True):
            p = predict_proba(head, features[problem.side][pool.test])
            decided[problem.side.encode() + problem.rows.tobytes() + problem.targets.tobytes()] = (
                p.argmax(axis=1)
            )
        return heads

    variant = {"w2s[l2=0.01]": ALL["w2s"]}
    atoms = run_block(CELLS[:1], pool, {**ALL, **variant}, spying)[0].records
    found = {(r["method"], r["group"]): r for r in atoms if r["split"] == "agreement"}
    assert set(found) == set(itertools.combinations(sorted(ALL), 2))
    draw = sampling.draw(GROUPS, pool.codes[:400], pool.priors, CELLS[0].request, CELLS[0].seed)
    truth = np.eye(2)[pool.y]
    teacher, baseline, ceiling = (
        decided[side.encode() + rows.tobytes() + truth[rows].tobytes()]
        for side, rows in (
            ("teacher", draw.labelled), ("student", draw.labelled), ("student", draw.unlabelled)
        )
    )  # fmt: skip
    for pair, alike in {
        ("baseline", "ceiling"): baseline == ceiling,
        ("baseline", "teacher"): baseline == teacher,
        ("ceiling", "teacher"): ceiling == teacher,
    }.items():
        row = found[pair]
        assert (row["value"], row["n"]) == (alike.mean(), 200)
        assert (row["metric"], row["y"], row["a"]) == ("fraction", -1, -1)
        assert 0.5 < row["value"] < 1.0


@pytest.mark.parametrize("errs", [True, False])
def test_rows_that_jtt_upweights_are_counted_by_group(pool: Pool, errs: bool) -> None:
    if not errs:  # on its teacher's own features a first head can give every label back
        pool = replace(pool, features=dict.fromkeys(pool.features, pool.features["teacher"]))
    seen: list[Problem] = []

    def spying(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        seen.extend(problems)
        return one_by_one(features, problems)

    methods = {
        "teacher": ALL["teacher"],
        "jtt": METHODS["jtt"](l2=1e-2, l2_first=1.0 if errs else 1e-6, upweight=20.0),  # type: ignore[call-arg]
    }
    atoms = run_block(CELLS[:1], pool, methods, spying)[0].records
    (weighted,) = [problem for problem in seen if problem.weights is not None]
    heavy = weighted.rows[weighted.weights == 20.0]
    assert (len(heavy) > 0) == errs
    assert value(atoms, split="upweighted") == np.bincount(pool.codes[heavy], minlength=4).tolist()
    counts = np.bincount(pool.codes[weighted.rows], minlength=4).tolist()
    assert [r["n"] for r in atoms if r["split"] == "upweighted"] == counts
    assert {r["method"] for r in atoms if r["split"] == "upweighted"} == {"jtt"}


def test_teacher_equal_to_student_features_and_no_other_change_gives_the_same_ceiling(
    pool: Pool,
) -> None:
    same = Pool(
        **{**vars(pool), "features": dict.fromkeys(pool.features, pool.features["student"])}
    )
    atoms = run_block(CELLS[:1], same, ALL, one_by_one)[0].records
    assert value(atoms, method="teacher", split="test") == value(
        atoms, method="baseline", split="test"
    )


def test_absent_test_group_is_missing(pool: Pool) -> None:
    less = Pool(**{**vars(pool), "test": pool.test[pool.codes[pool.test] != 2]})
    atoms = run_block(CELLS[:1], less, ALL, one_by_one)[0].records
    assert value(atoms, method="w2s", split="test", group=GROUPS.names[2]) == [None]


def test_standardise_uses_drawable_rows_only_and_zeroes_constants() -> None:
    rng = stream(1, "test/standardise")
    matrix = rng.normal(5, 3, (50, 3)).astype(np.float32)
    matrix[:, 2] = 7
    out = standardise(matrix, np.arange(30))
    np.testing.assert_allclose(out[:30, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(out[:30, :2].std(axis=0), 1, atol=1e-5)
    assert (out[:, 2] == 0).all()
    matrix[30:] += 100
    np.testing.assert_array_equal(standardise(matrix, np.arange(30))[:30], out[:30])


def test_ridge_takes_the_place_of_every_cross_entropy_head(pool: Pool) -> None:
    methods = {name: ALL[name] for name in ("teacher", "w2s", "baseline", "ceiling")}
    losses: set[object] = set()

    def recording(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        losses.update(problem.loss for problem in problems)
        return solve(features, problems, tol=1e-10)

    grid = run_block(CELLS, pool, methods, recording, Squared())
    reference = run_block(CELLS, pool, methods, one_by_one, Squared())
    assert losses == {Squared()}
    for ours, theirs in zip(grid, reference, strict=True):
        for one, other in zip(ours.records, theirs.records, strict=True):
            assert one["value"] == pytest.approx(other["value"], abs=1e-12)


@pytest.mark.parametrize("init", list(Init))
def test_selective_retraining_over_a_grid_descends_as_far_as_cell_by_cell(
    pool: Pool, init: Init
) -> None:
    """The same rows are kept, and GCE ends at a stationary point as low as the reference's."""
    methods = ALL | {"selective": replace(SELECTIVE, init=init)}
    kept: dict[str, list[tuple[Problem, Head]]] = {"grid": [], "reference": []}

    def recorded(name: str, solver: Solver) -> Solver:
        def run(
            features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
        ) -> Sequence[Head]:
            heads = solver(features, problems)
            kept[name] += [
                pair for pair in zip(problems, heads, strict=True) if isinstance(pair[0].loss, GCE)
            ]
            return heads

        return run

    run_block(CELLS, pool, methods, recorded("grid", partial(solve, tol=1e-8)))
    run_block(CELLS, pool, methods, recorded("reference", one_by_one))
    x = pool.features["student"]
    for (problem, head), (reference, other) in zip(kept["grid"], kept["reference"], strict=True):
        np.testing.assert_array_equal(problem.rows, reference.rows)
        assert (problem.init is None) == (init is Init.zero)
        assert gradient_norm(x, problem, head) <= 1.01e-8
        ours, theirs = (objective_value(x, problem, h) for h in (head, other))
        assert ours <= theirs + 1e-9


def test_a_method_may_ask_about_every_row_that_was_drawn(pool: Pool) -> None:
    """Probabilities are those of the head itself on labelled and unlabelled rows, in any order."""

    class Asking(METHODS["w2s"]):  # type: ignore[misc]
        def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
            teacher, x = solved["teacher"], pool.features["teacher"]
            for rows in (draws.labelled, draws.unlabelled[::-1], draws.labelled[:3]):
                expected = predict_proba(teacher.head, x[rows])
                np.testing.assert_allclose(teacher.proba(rows), expected, atol=1e-12)
            return super().problem(draws, solved)

    methods = {"teacher": ALL["teacher"], "w2s": Asking(l2=1e-2)}
    for cell in CELLS:
        [ran] = run_block([cell], pool, methods, one_by_one)
        assert not ran.failed


def test_nothing_is_learnt_from_the_labels_of_other_images(pool: Pool) -> None:
    cells = [Cell(Request(60, 120, 0.3, 0.3), seed) for seed in range(12)]

    def averages(permute: bool) -> dict[str, Interval]:
        blocks = [ran.records for ran in run_block(cells, pool, ALL, solve, permute_labels=permute)]
        return {
            name: mean_interval(
                [
                    np.mean(value(atoms, method=name, split="test", metric="accuracy"))
                    for atoms in blocks
                ]
            )
            for name in ALL
        }

    assert all(found.low <= 0.5 for found in averages(True).values())
    assert all(found.low > 0.6 for found in averages(False).values())


def test_permuted_labels_reach_every_set_and_test_labels_stay(pool: Pool) -> None:
    seen: list[Problem] = []

    def spying(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        seen.extend(problems)
        return list(solve(features, problems))

    references = {name: ALL[name] for name in ("teacher", "ceiling")}
    run_block(CELLS[:1], pool, references, spying, permute_labels=True)
    for problem in seen:
        wrong = problem.targets.argmax(axis=1) != pool.y[problem.rows]
        assert 0.2 < wrong.mean() < 0.8


def test_permuted_labels_come_with_the_groups_that_they_name(pool: Pool) -> None:
    """A method that knows groups must not learn the true class from them."""
    draw, shown = draw_of(CELLS[0], pool, permute_labels=True)
    for rows, labels, codes in (
        (draw.labelled, shown.y_labelled, shown.codes_labelled),
        (draw.unlabelled, shown.y_unlabelled, shown.codes_unlabelled),
    ):
        assert labels is not None
        assert codes is not None
        y, a = labels.argmax(axis=1), pool.codes[rows] % len(GROUPS.attribute_names)
        np.testing.assert_array_equal(codes, GROUPS.codes(y, a))


def test_validation_images_are_of_no_other_set_and_have_their_accuracies(pool: Pool) -> None:
    request = Request(40, 80, 0.25, 0.25, n_val=40, eta_val=0.25)
    draw = sampling.draw(GROUPS, pool.codes[pool.drawable], pool.priors, request, 0)
    sets = [set(rows.tolist()) for rows in (draw.labelled, draw.unlabelled, draw.validation)]
    assert [len(rows) for rows in sets] == [40, 80, 40]
    assert len(set.union(*sets)) == 160
    (atoms,) = (ran.records for ran in run_block([Cell(request, 0)], pool, ALL, solve))
    found = [r for r in atoms if r["split"] == "validation" and r["method"] == "ceiling"]
    assert [r["n"] for r in found] == [15, 5, 5, 15]
    features, rows = pool.features["student"], draw.unlabelled
    targets = one_hot(pool.y[rows], 2)
    (ceiling,) = solve(pool.features, [Problem("student", rows, targets, CrossEntropy(), 1e-2)])
    right = predict_proba(ceiling, features[draw.validation]).argmax(axis=1)
    right = right == pool.y[draw.validation]
    codes = pool.codes[draw.validation]
    assert [r["value"] for r in found] == [right[codes == g].mean() for g in range(4)]


def test_validation_images_do_not_move_the_unlabelled_set(pool: Pool) -> None:
    codes = pool.codes[pool.drawable]
    plain = sampling.draw(GROUPS, codes, pool.priors, Request(40, 80, 0.25, 0.25), 0)
    with_val = sampling.draw(
        GROUPS, codes, pool.priors, Request(40, 80, 0.25, 0.25, n_val=40, eta_val=0.5), 0
    )
    assert plain.unlabelled.tolist() == with_val.unlabelled.tolist()
    assert plain.validation.size == 0


def test_methods_see_group_codes_and_true_labels_only_where_they_say_so(pool: Pool) -> None:
    shown: dict[str, Draws] = {}

    class Spy(Teacher):
        def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
            shown["spy"] = draws
            return super().steps(draws, solved)

    run_block(CELLS[:1], pool, {"teacher": Spy(l2=1e-2)}, solve)
    assert shown["spy"].y_unlabelled is None
    assert shown["spy"].codes_labelled is None
    assert shown["spy"].codes_unlabelled is None


def test_a_method_of_several_fits_gets_each_answer_of_its_own_cell(pool: Pool) -> None:
    """Stage one on the labelled rows, stage two started there; beside a method of one fit."""

    class Twice(Teacher):
        def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
            first = self.problem(draws, solved)
            a, b = yield [first, replace(first, l2=1.0)]
            assert np.abs(a.head.coef).sum() > np.abs(b.head.coef).sum()
            (c,) = yield [replace(first, init=a.head)]
            return replace(first, l2=1e-2 if c.head is not None else 1.0)

    methods = {"teacher": ALL["teacher"], "twice": Twice(l2=1e-2)}
    for atoms, *_ in run_block(CELLS, pool, methods, one_by_one):
        assert value(atoms, method="twice", split="test") == value(
            atoms, method="teacher", split="test"
        )
