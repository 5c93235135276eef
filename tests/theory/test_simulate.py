from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import Limits, exact_limits
from w2s_groups.theory.intervals import mean_interval
from w2s_groups.theory.model import GroupModel, Side
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.simulate import Case, Risks, Simulation, excess_risk, simulate

ETA_T = (0.0, 0.5, 1.0)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_setting(rng: np.random.Generator) -> dict:
    p_w, p_s = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    mu = 0.5 if p_s > 1 else 0.0
    model = model_with_overlap(
        p_w=p_w,
        cos=equal_cosines(p_w, p_s, 1 + 0.6 * (p_s - 1)),
        mu_w=float(rng.uniform(0.5, 1.5)),
        mu_s=mu,
        sigma_xi=0.7,
        sigma_y=float(rng.uniform(0.5, 1.5)),
        law=("mixture", "location")[int(rng.integers(2))],
    )
    ridge = rng.random() < 0.5
    gamma_z, nu_z = (float(rng.choice([0.05, 0.1])) for _ in range(2))
    return {
        "model": model,
        "regime": Regime(gamma_z, nu_z, alpha_w=0.1 * ridge, alpha_s=0.05 * ridge),
        "eta_l": float(rng.uniform(0, 0.5)),
        "eta_u": float(rng.uniform(0, 0.5)),
    }


def one_case(
    model: GroupModel, N: int, eta_l: tuple[float, ...], shared: Simulation, replicates
) -> Risks:
    return simulate([Case(model, N, eta_l)], shared, replicates)[0]


def run(setting: dict, d_z: int, replicates: int, seed: int) -> Risks:
    regime = setting["regime"]
    shared = Simulation(
        d_z, round(d_z / regime.gamma_z), (setting["eta_u"],), ETA_T, seed, regime.alpha_w,
        regime.alpha_s,
    )  # fmt: skip
    N = round(d_z / regime.nu_z)
    return one_case(setting["model"], N, (setting["eta_l"],), shared, range(replicates))


def limit_of(setting: dict) -> Limits:
    etas = {"eta_l": setting["eta_l"], "eta_u": setting["eta_u"]}
    return exact_limits(setting["model"], setting["regime"], **etas)


def check_coverage(d_z: int, settings: int, replicates: int) -> None:
    """Average-group risk of each side inside its interval as often as chance allows (0.1 %)."""
    rng = np.random.default_rng(5)
    inside = {"teacher": 0, "student": 0}
    for k in range(settings):
        setting = random_setting(rng)
        risks = run(setting, d_z, replicates, seed=k)
        limits = limit_of(setting)
        for side, values, exact in (
            ("teacher", risks.teacher[:, 0], limits.teacher_risk(ETA_T)),
            ("student", risks.student[:, 0, 0], limits.student_risk(ETA_T)),
        ):
            mean, half = mean_interval(values)
            inside[side] += bool(abs(mean[1] - exact[1]) <= half[1])
    for side, count in inside.items():
        assert count >= binom.ppf(0.001, settings, 0.95), (side, count)


def test_exact_limits_lie_in_the_interval_as_often_as_chance_allows():
    check_coverage(d_z=96, settings=8, replicates=6)


@pytest.mark.slow
def test_exact_limits_lie_in_the_interval_at_d_z_256():
    check_coverage(d_z=256, settings=30, replicates=8)


@pytest.mark.slow
def test_gap_to_the_limit_shrinks_with_d_z():
    setting = random_setting(np.random.default_rng(2)) | {"regime": Regime(0.2, 0.1)}
    exact = limit_of(setting).teacher_risk(0.5)
    gap = {}
    for d_z, replicates in ((64, 400), (512, 60)):
        mean, half = mean_interval(run(setting, d_z, replicates, 0).teacher[:, 0, 1])
        gap[d_z] = (abs(mean - exact), half)
    assert gap[512][0] < gap[64][0] + gap[64][1]
    assert gap[512][0] <= gap[64][0] / 2 + gap[512][1]  # a 1/d_z gap would be 8 times smaller


def test_same_span_student_is_its_teacher_at_finite_size():
    model = model_with_overlap(
        p_w=3, cos=[1.0, 1.0], mu_w=1.0, mu_s=1.0, sigma_xi=0.5, sigma_y=1.0, law="mixture"
    )
    shared = Simulation(20, 200, (0.0, 0.4), ETA_T, 0, tol=1e-9)
    risks = one_case(model, 150, (0.1, 0.5), shared, [0, 1])
    assert np.abs(risks.gain).max() < 1e-7 * risks.teacher.max()


def test_a_replicate_is_ridge_regression_on_its_draws():
    model = model_with_overlap(p_w=3, cos=[0.5], mu_w=1.0, mu_s=0.5, sigma_xi=0.7, sigma_y=0.9)
    d_z, n, N, eta_l, eta_u = 8, 60, 50, 0.1, 0.3
    shared = Simulation(d_z, n, (eta_u,), ETA_T, 4, alpha_w=0.3, alpha_s=0.02, tol=1e-10)
    risks = one_case(model, N, (eta_l,), shared, [2])

    def features(part: str, side: Side, size: int, eta: float) -> tuple[np.ndarray, np.ndarray]:
        name = f"gaussian/replicate 2/{part}"
        z = torch.cat([z for _, z in shared.rows(name, size).blocks(torch.float64)]).numpy()
        psi = shared.psi(model, side, size, eta, name).numpy()
        return z, (psi[:, :, None] * z[:, None, :]).reshape(size, -1)

    def ridge(phi: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
        return np.linalg.solve(
            phi.T @ phi / len(y) + alpha * np.eye(phi.shape[1]), phi.T @ y / len(y)
        )

    z, phi = features("labelled", "teacher", n, eta_l)
    noise = stream(4, "gaussian/replicate 2/labelled/epsilon").standard_normal(n)
    teacher = ridge(phi, z @ model.beta_star(d_z) + model.sigma_y * noise, 0.3)
    pseudo = features("unlabelled", "teacher", N, eta_u)[1] @ teacher
    student = ridge(features("unlabelled", "student", N, eta_u)[1], pseudo, 0.02)
    for side, theta, ran in (
        ("teacher", teacher, risks.teacher[0, 0]),
        ("student", student, risks.student[0, 0, 0]),
    ):
        error = theta.reshape(-1, d_z)
        error[0] -= model.beta_star(d_z)
        expected = [np.sum(A * (error @ error.T)) for A in model.test_moments(side, ETA_T)]
        np.testing.assert_allclose(ran, expected, rtol=1e-8)


def test_p_w_1_has_its_closed_form_at_finite_size():
    model = GroupModel(np.zeros((1, 0)), np.zeros((1, 0)), np.ones(1), 1.0, 1.5)
    d_z, n = 20, 60
    risks = one_case(model, 80, (0.2,), Simulation(d_z, n, (0.2,), (0.5,), 1), range(150))
    values = risks.teacher[:, 0, 0]
    error = abs(values.mean() - 1.5**2 * d_z / (n - d_z - 1))
    assert error < 4 * values.std(ddof=1) / np.sqrt(len(values))


def test_mixture_risk_is_linear_in_eta_t_and_parts_of_a_run_agree():
    setting = random_setting(np.random.default_rng(0))
    shared = Simulation(16, 160, (0.3,), ETA_T, 4)
    model = model_with_overlap(
        p_w=3, cos=[0.5], mu_w=1.0, mu_s=0.5, sigma_xi=0.7, sigma_y=1.0, law="mixture"
    )
    whole = one_case(model, 120, (0.1,), shared, [0, 1, 2])
    part = one_case(model, 120, (0.1,), shared, [1])
    assert np.allclose(whole.student[1], part.student[0], rtol=1e-3)
    for risks in (whole.teacher, whole.student):
        assert np.allclose(risks[..., 1], (risks[..., 0] + risks[..., 2]) / 2)
    streamed = one_case(model, 120, (0.1,), replace(shared, memory=0), [1])
    assert np.allclose(streamed.student, part.student)
    other = model_with_overlap(
        p_w=3, cos=[0.2], mu_w=0.4, mu_s=0.1, sigma_xi=0.5, sigma_y=2.0, law="location"
    )
    cases = [Case(other, 100, (0.2,)), Case(model, 120, (0.4, 0.1)), Case(model, 120, (0.1,))]
    ran = simulate(cases, shared, [1])
    single = one_case(other, 100, (0.2,), shared, [1])
    for risks, expected in ((ran[0], single), (ran[2], part)):
        assert np.allclose(risks.teacher, expected.teacher, rtol=1e-3)
        assert np.allclose(risks.student, expected.student, rtol=1e-3)
    assert np.allclose(ran[1].student[:, 1], part.student[:, 0], rtol=1e-3)
    with pytest.raises(InputError, match="p_w="):
        simulate([*cases, Case(setting["model"], 120, (0.1,))], shared, [1])


def test_excess_risk_equals_its_definition():
    rng = np.random.default_rng(0)
    theta, beta = rng.standard_normal((2, 3)), rng.standard_normal(3)
    A = np.array([[1.0, 0.3], [0.3, 2.0]])
    error = theta - np.outer([1, 0], beta)
    risk = excess_risk(torch.from_numpy(theta), torch.from_numpy(beta), A[None])
    assert np.allclose(risk, np.trace(A @ error @ error.T))


def test_bad_input():
    model = GroupModel(np.zeros((1, 0)), np.zeros((1, 0)), np.ones(1), 1.0, 1.0)
    good = Simulation(4, 20, (0.1,), (0.5,), 0)
    for eta_l, change, match in (
        (1.2, {}, "eta_l"),
        (0.1, {"eta_t": ()}, "eta_t"),
        (0.1, {"n": 0}, "n=0"),
    ):
        with pytest.raises(InputError, match=match):
            one_case(model, 20, (eta_l,), replace(good, **change), [0])
    with pytest.raises(InputError, match="replicates=1"):
        mean_interval(np.ones((1, 2)))
