from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory import sobol
from w2s_groups.theory.exact import Limits, exact_limits
from w2s_groups.theory.model import GroupModel
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.sides import student_limits
from w2s_groups.theory.sobol import sobol_risks

REFERENCE = json.loads(Path(__file__).with_name("theory_reference.json").read_text())
RATES = ("gamma_z", "nu_z", "alpha_w", "alpha_s")
MIXES = [0.0, 0.5, 1.0]


def regime(setting: dict[str, float]) -> Regime:
    return Regime(**{name: setting[name] for name in RATES if name in setting})


def limits_of(model: GroupModel, rtol: float = 1e-6, **setting: float) -> Limits:
    eta_l, eta_u = setting["eta_l"], setting["eta_u"]
    return exact_limits(model, regime(setting), eta_l=eta_l, eta_u=eta_u, rtol=rtol)


def sobol_of(model: GroupModel, log2_nodes: int, scramblings: int, **setting: float) -> np.ndarray:
    return sobol_risks(
        model, regime(setting), eta_l=setting["eta_l"], eta_u=setting["eta_u"], eta_t=MIXES,
        rng=stream(1, "sobol"), log2_nodes=log2_nodes, scramblings=scramblings,
    )  # fmt: skip


def random_model(seed: int, p_w: int, p_s: int, law: Any, **changes: Any) -> GroupModel:
    rng = stream(seed, "model")
    p = p_w + p_s
    W, S = (
        np.linalg.qr(rng.standard_normal((p, p)))[0][:, : dimension - 1] for dimension in (p_w, p_s)
    )
    arguments = {
        "sigma_xi": float(rng.uniform(0.4, 1.5)),
        "sigma_y": float(rng.uniform(0.2, 1.5)),
        "beta_norm": float(rng.uniform(0.2, 2)),
        "law": law,
    }
    return GroupModel(W, S, rng.standard_normal(p), **{**arguments, **changes})


def risks(result: Limits) -> np.ndarray:
    return np.stack([result.teacher_risk(MIXES), result.student_risk(MIXES)])


models = st.builds(
    random_model,
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from(["mixture", "location"]),
)
fraction = st.floats(0, 1)
load = st.floats(0.01, 0.8)  # gamma_z p_w, nu_z p_s


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_reference_settings(name: str) -> None:
    """Independent values from 2^16 Sobol points, five decimals, with their own spread."""
    case = REFERENCE[name]
    model = GroupModel.from_cosines(
        case["cos"],
        p_w=case["p_w"],
        mu_xi=case["mu"],
        sigma_xi=case["sigma_xi"],
        sigma_y=case["sigma_y"],
        law=case["law"],
    )
    assert (model.p, model.p_s) == (case["p"], case["p_s"])
    result = limits_of(model, **{key: case[key] for key in (*RATES, "eta_l", "eta_u")})
    rounding = 0.5e-5
    allowed = rounding + case["spread"]
    np.testing.assert_allclose(risks(result), [case["teacher"], case["student"]], atol=allowed)
    assert result.error < 1e-6


RIDGE = [(0.0, 0.0), (0.3, 0.05), (0.0, 0.2), (0.02, 0.0)]


@pytest.mark.parametrize("law", ["mixture", "location"])
@pytest.mark.parametrize(("alpha_w", "alpha_s"), RIDGE)
@pytest.mark.parametrize(("p_w", "p_s"), [(4, 3), (2, 4)])
def test_agrees_with_brute_force(
    law: Any, alpha_w: float, alpha_s: float, p_w: int, p_s: int
) -> None:
    """The Sobol route shares no symmetry argument, no solver and no closed form with ours."""
    model = random_model(7 * p_w + p_s, p_w, p_s, law)
    setting = {
        "gamma_z": 1.3 if alpha_w else 0.5 / p_w,  # with ridge: more parameters than samples
        "nu_z": 0.9 if alpha_s else 0.4 / p_s,
        "alpha_w": alpha_w,
        "alpha_s": alpha_s,
        "eta_l": 0.15,
        "eta_u": 0.4,
    }
    exact = risks(limits_of(model, **setting))
    count = 12
    sample = sobol_of(model, 9, count, **setting)
    error = sample.std(axis=0, ddof=1) / np.sqrt(count)
    limit = stats.t.isf(1e-5, count - 1)
    np.testing.assert_array_less(np.abs(sample.mean(axis=0) - exact), limit * error)
    assert np.max(error / exact) < 5e-3  # the comparison has teeth


@pytest.mark.parametrize("law", ["mixture", "location"])
def test_every_entry_of_the_students_noise_agrees_with_brute_force(law: Any) -> None:
    """A_t shares the law's symmetry, so no risk reads the rest of V_s; a lopsided K fills it."""
    model, nu_z, alpha, eta_u, count = random_model(3, 5, 5, law), 1.5, 0.5, 0.3, 12
    model = replace(model, S=model.W)
    K = np.outer([1.0, 0.5, -1, 2, 1], [1.0, 0.5, -1, 2, 1])
    side = Regime(0.0, nu_z, alpha_s=alpha)
    found = student_limits(model, side, np.array([eta_u]), 96).V(K[None])[0]
    sample = np.empty((count, 5, 5))
    for row in range(count):
        psi_w, psi_s, weight = sobol._nodes(model, eta_u, 12, stream(row, "nodes"))
        M, c = sobol._fixed_point("student", psi_s, weight, side)
        residual = psi_w - psi_s @ (M @ (psi_s * (weight * c)[:, None]).T @ psi_w)
        r = np.einsum("ni,ij,nj->n", residual, K, residual)
        sample[row] = sobol._noise(M, psi_s, weight * c**2, nu_z, r)
    error = sample.std(axis=0, ddof=1) / np.sqrt(count)
    limit = stats.t.isf(1e-5, count - 1)
    np.testing.assert_array_less(np.abs(sample.mean(axis=0) - found), limit * error)
    # Without the asymmetric parts three of the last four eigenvalues would be equal.
    split = np.diff(np.linalg.eigvalsh(found[1:, 1:]))
    assert error.max() < 0.01 * split.max()


@pytest.mark.parametrize("gamma_z", [0.3, 0.99, 2.5])
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 2.0])
def test_isotropic_ridge_is_marchenko_pastur(gamma_z: float, alpha: float) -> None:
    """p_w = 1: bias b²α²m' and variance σ²γ(m - αm') of the Marchenko-Pastur transform at -α."""
    model = random_model(0, 1, 1, "mixture", sigma_y=0.7, beta_norm=1.4)
    linear = 1 - gamma_z + alpha
    m = (-linear + np.sqrt(linear**2 + 4 * gamma_z * alpha)) / (2 * gamma_z * alpha)
    slope = (gamma_z * m**2 + m) / (2 * alpha * gamma_z * m + linear)
    expected = (1.4 * alpha) ** 2 * slope + 0.49 * gamma_z * (m - alpha * slope)
    result = limits_of(
        model, gamma_z=gamma_z, nu_z=0.1, eta_l=0.2, eta_u=0.3, alpha_w=alpha, alpha_s=0.1
    )
    np.testing.assert_allclose(result.teacher_risk(MIXES), expected, rtol=1e-9)


def test_agrees_with_a_dense_simulation() -> None:
    model = random_model(5, 3, 2, "mixture", sigma_xi=0.8)
    d_z, n, N, alpha, repeats = 150, 900, 700, 0.05, 72
    outcome = np.empty((repeats, 2, 3))
    A = [[model.second_moment(side, t) for t in MIXES] for side in ("teacher", "student")]  # type: ignore[arg-type]
    for row in range(repeats):
        rng = stream(row, "dense")
        labelled, unlabelled = model.draw(n, 0.1, d_z, rng), model.draw(N, 0.4, d_z, rng)
        phi = model.features("teacher", labelled.z, labelled.xi)
        ridge = alpha * np.eye(phi.shape[1])
        theta = np.linalg.solve(ridge + phi.T @ phi / n, phi.T @ labelled.y / n)
        pseudo = model.features("teacher", unlabelled.z, unlabelled.xi) @ theta
        phi = model.features("student", unlabelled.z, unlabelled.xi)
        student = np.linalg.solve(phi.T @ phi, phi.T @ pseudo)
        for side, fit in enumerate((theta, student)):
            E = fit.reshape(-1, d_z)
            E[0] -= model.beta_star(d_z)
            outcome[row, side] = [np.sum(moment * (E @ E.T)) for moment in A[side]]
    exact = risks(
        limits_of(model, gamma_z=d_z / n, nu_z=d_z / N, eta_l=0.1, eta_u=0.4, alpha_w=alpha)
    )
    error = outcome.std(axis=0, ddof=1) / np.sqrt(repeats)
    np.testing.assert_array_less(np.abs(outcome.mean(axis=0) - exact), 4 * error)
    assert np.max(error / exact) < 0.05


@settings(max_examples=25, deadline=None)
@given(model=models, x=load, y=load, eta_l=fraction, eta_u=fraction)
def test_ridgeless_noise_is_the_resolvent(
    model: GroupModel, x: float, y: float, eta_l: float, eta_u: float
) -> None:
    """V_w = σ_y² γ_z M_w, no bias, and nothing depends on ‖β*‖."""
    setting = {"gamma_z": x / model.p_w, "nu_z": y / model.p_s, "eta_l": eta_l, "eta_u": eta_u}
    result = limits_of(model, **setting)
    expected = model.sigma_y**2 * setting["gamma_z"] * result.M_w
    np.testing.assert_allclose(result.V_w, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(result.b_w, np.eye(model.p_w)[0])
    other = GroupModel(model.W, model.S, model.mu_xi, model.sigma_xi, model.sigma_y, 5.0, model.law)
    np.testing.assert_allclose(risks(limits_of(other, **setting)), risks(result), rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(model=models, x=load, eta_l=fraction, eta_u=fraction, alpha=st.floats(0.01, 2))
def test_fixed_points_hold(
    model: GroupModel, x: float, eta_l: float, eta_u: float, alpha: float
) -> None:
    """Trace of 2.1: tr((I - αM)) = E[q / (1 + γq)] with q = ψᵀMψ, hence below min(p_w, 1/γ)."""
    result = limits_of(
        model, gamma_z=x, nu_z=x, eta_l=eta_l, eta_u=eta_u, alpha_w=alpha, alpha_s=alpha
    )
    for M, p in ((result.M_w, model.p_w), (result.M_s, model.p_s)):
        seen = p - alpha * np.trace(M)
        assert 0 < seen < min(p, 1 / x)
    # B e₁ = e₁ - α_s M_s e₁: the student treats the teacher's own direction as a ridge fit does.
    np.testing.assert_allclose(
        result.B[:, 0], np.eye(model.p_s)[0] - alpha * result.M_s[:, 0], atol=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    law=st.sampled_from(["mixture", "location"]),
    p=st.integers(1, 6),
    x=load,
    y=load,
    eta_l=fraction,
    eta_u=fraction,
)
def test_same_features_give_the_teacher_back(
    seed: int, law: Any, p: int, x: float, y: float, eta_l: float, eta_u: float
) -> None:
    """span S = span W without ridge: the student repeats the teacher at every eta_t."""
    base = random_model(seed, p, p, law)
    turn = np.linalg.qr(stream(seed, "turn").standard_normal((p - 1, p - 1)))[0]
    model = GroupModel(
        base.W, base.W @ turn, base.mu_xi, base.sigma_xi, base.sigma_y, base.beta_norm, law
    )
    result = limits_of(model, gamma_z=x / p, nu_z=y / p, eta_l=eta_l, eta_u=eta_u)
    np.testing.assert_allclose(*risks(result), rtol=1e-8)
    assert np.all(np.abs(result.gain(MIXES)) < 1e-8 * result.teacher_risk(MIXES))


@given(x=st.floats(0.01, 0.95), y=load)
@settings(max_examples=20, deadline=None)
def test_one_feature_closed_form(x: float, y: float) -> None:
    """p_w = p_s = 1: both equal σ_y² γ_z / (1 - γ_z)."""
    model = random_model(2, 1, 1, "mixture")
    result = limits_of(model, gamma_z=x, nu_z=y, eta_l=0.1, eta_u=0.5)
    np.testing.assert_allclose(risks(result), model.sigma_y**2 * x / (1 - x), rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(model=models, x=load, y=load, eta_l=fraction, eta_u=fraction)
def test_renaming_the_groups_changes_no_ridgeless_risk(
    model: GroupModel, x: float, y: float, eta_l: float, eta_u: float
) -> None:
    load_z = {"gamma_z": x / model.p_w, "nu_z": y / model.p_s}
    result = limits_of(model, eta_l=eta_l, eta_u=eta_u, **load_z)
    mirrored = replace(model, mu_xi=-model.mu_xi)  # ξ -> ξ - μ keeps the span of ψ
    renamed = limits_of(mirrored, eta_l=1 - eta_l, eta_u=1 - eta_u, **load_z)
    np.testing.assert_allclose(risks(renamed)[:, ::-1], risks(result), rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(model=models, alpha=st.sampled_from([0.0, 0.1]), eta_l=fraction, eta_u=fraction)
def test_risk_is_linear_or_quadratic_in_eta_t(
    model: GroupModel, alpha: float, eta_l: float, eta_u: float
) -> None:
    result = limits_of(
        model, gamma_z=0.1, nu_z=0.1, eta_l=eta_l, eta_u=eta_u, alpha_w=alpha, alpha_s=alpha
    )
    order = 2 if model.law == "mixture" else 3
    for risk in (result.teacher_risk, result.student_risk):
        values = risk(np.linspace(0, 1, 5))
        np.testing.assert_allclose(np.diff(values, order), 0, atol=1e-12 * values.max())


@settings(max_examples=20, deadline=None)
@given(model=models, seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.1]))
def test_turning_or_padding_xi_changes_nothing(model: GroupModel, seed: int, alpha: float) -> None:
    turn = np.linalg.qr(stream(seed, "turn").standard_normal((model.p + 2, model.p)))[0]
    turned = GroupModel(
        turn @ model.W,
        turn @ model.S,
        turn @ model.mu_xi,
        model.sigma_xi,
        model.sigma_y,
        model.beta_norm,
        model.law,
    )
    setting = {
        "gamma_z": 0.1, "nu_z": 0.12, "eta_l": 0.2, "eta_u": 0.4, "alpha_w": alpha, "alpha_s": alpha
    }  # fmt: skip
    np.testing.assert_allclose(
        risks(limits_of(turned, **setting)), risks(limits_of(model, **setting)), rtol=1e-8
    )


def test_blind_student_sees_only_the_mean_shift() -> None:
    """Ξ = 0, ν_z -> 0, location: σ_y²γ_z (1 + (η_u - η_ℓ)²‖a‖²/σ_ξ²) at every eta_t, γ_z -> 0."""
    mu = np.array([3.0, 1.0, 0, 0, 0.7, 0, 0])
    model = GroupModel.from_cosines(
        [0, 0], p_w=5, mu_xi=mu, sigma_xi=0.5, sigma_y=1.3, law="location"
    )
    for gamma_z in (1e-4, 1e-6):
        result = limits_of(model, gamma_z=gamma_z, nu_z=0, eta_l=0.5, eta_u=0.1)
        expected = 1.69 * gamma_z * (1 + 0.16 * (9 + 1) / 0.25)
        # first order in gamma_z: the next term is relative gamma_z p_w (1 + ...), below 100 gamma_z
        np.testing.assert_allclose(result.student_risk(MIXES), expected, rtol=100 * gamma_z)


def test_balanced_small_rates_count_dimensions() -> None:
    """η all equal, location: student / (σ_y²γ_z) -> p_sw + ν_z (p_w - p_sw) p_s."""
    model = random_model(9, 5, 3, "location")
    gamma_z, nu_z = 1e-6, 1e-4
    result = limits_of(model, gamma_z=gamma_z, nu_z=nu_z, eta_l=0.3, eta_u=0.3)
    ratio = result.student_risk(0.3) / (model.sigma_y**2 * gamma_z)
    expected = model.p_sw + nu_z * (model.p_w - model.p_sw) * model.p_s
    assert ratio == pytest.approx(expected, abs=20 * (gamma_z + nu_z**2) * model.p_w * model.p_s)


@pytest.mark.parametrize("law", ["mixture", "location"])
def test_noise_form_is_the_adjoint_of_the_noise(law: Any) -> None:
    model = random_model(11, 4, 5, law)
    student = student_limits(model, Regime(0.0, 0.15, alpha_s=0.02), np.array([0.1, 0.6]), 48)
    half = stream(0, "K").standard_normal((4, 4))
    K = np.stack([half @ half.T, np.diag([1.0, 2, 0, 3])])
    A = model.test_moments("student", MIXES)
    direct = np.einsum("tij,eij->et", A, student.V(K))
    np.testing.assert_allclose(
        np.einsum("etij,eij->et", student.noise_form(A), K), direct, rtol=1e-10
    )


@settings(max_examples=15, deadline=None)
@given(model=models, eta_l=fraction, eta_u=fraction, alpha=st.floats(1e-3, 1))
def test_reported_error_bounds_the_change(
    model: GroupModel, eta_l: float, eta_u: float, alpha: float
) -> None:
    setting = {
        "gamma_z": 0.7, "nu_z": 0.5, "eta_l": eta_l, "eta_u": eta_u, "alpha_w": alpha,
        "alpha_s": alpha,
    }  # fmt: skip
    rough = limits_of(model, rtol=1e-2, **setting)
    fine = limits_of(model, rtol=0.0, **setting)
    assert np.max(np.abs(risks(rough) / risks(fine) - 1)) <= rough.error + 1e-9


BASE = {"gamma_z": 0.05, "nu_z": 0.05, "eta_l": 0.1, "eta_u": 0.3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma_z": 0.2}, r"gamma_z=0.2 with p_w=5 and alpha_w=0 has no limit"),
        ({"nu_z": 0.4}, r"nu_z=0.4 with p_s=3 and alpha_s=0 has no limit"),
        ({"gamma_z": -0.1}, "gamma_z=-0.1 is out of range"),
        ({"nu_z": float("nan")}, "nu_z=nan is out of range"),
        ({"alpha_w": -1.0}, "alpha_w=-1.0 is out of range"),
        ({"alpha_s": float("inf")}, "alpha_s=inf is out of range"),
        ({"eta_l": 1.5}, "eta_l=1.5 is not a minority fraction"),
        ({"eta_u": -0.5}, "eta_u=-0.5 is not a minority fraction"),
    ],
)
def test_bad_setting(changes: dict[str, float], message: str) -> None:
    model = random_model(1, 5, 3, "mixture")
    with pytest.raises(InputError, match=message):
        limits_of(model, **{**BASE, **changes})
    if "gamma_z" in changes or "nu_z" in changes:
        with pytest.raises(InputError, match=next(iter(changes))):
            sobol_of(model, 3, 1, **{**BASE, **changes})


def test_bad_eta_t_and_singular_moment() -> None:
    model = random_model(1, 5, 3, "mixture")
    with pytest.raises(InputError, match=r"eta_t=2\.0"):
        limits_of(model, **BASE).teacher_risk(2)
    with pytest.raises(InputError, match=r"second moment at eta=0\.1 singular"):
        limits_of(random_model(1, 5, 3, "mixture", sigma_xi=1e-7), **BASE)
