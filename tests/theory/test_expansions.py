"""The printed forms against the exact limits as γ_z, ν_z -> 0, and the three places they part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2s_groups.core.errors import InputError
from w2s_groups.theory import expansions
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.model import LARGEST, GroupModel, Law
from w2s_groups.theory.regime import Regime

SMALL = 1e-5


def model(law: Law, mu_w: float = 1.5, mu_s: float = 1.0, p_sw: float = 1.5) -> GroupModel:
    return model_with_overlap(
        p_w=5, cos=equal_cosines(5, 3, p_sw), mu_w=mu_w, mu_s=mu_s, sigma_xi=0.5, sigma_y=1.0,
        law=law,
    )  # fmt: skip


def limit(m: GroupModel, eta_l: float, eta_u: float, eta_t: float, nu_z: float = SMALL) -> tuple:
    found = exact_limits(m, Regime(SMALL, nu_z), eta_l=eta_l, eta_u=eta_u)
    return float(found.teacher_risk([eta_t])[0]), float(found.student_risk([eta_t])[0])


def teacher_mixture(m: GroupModel, rates: Regime, *, eta_l: float, eta_t: float) -> float:
    """Equation 3.4, the closed form of 3.5 under the mixture law."""
    a = m.W.T @ m.mu_xi
    s = float(a @ a) / m.sigma_xi**2
    tilt = (eta_t - eta_l) * (1 - 2 * eta_l) * s / (1 + eta_l * (1 - eta_l) * s)
    return m.sigma_y**2 * rates.gamma_z * (m.p_w + tilt)


@pytest.mark.parametrize("eta_t", [0.0, 0.5, 1.0])
def test_location_forms_are_the_limits_to_first_order(eta_t: float) -> None:
    m = model("location")
    teacher, student = limit(m, 0.1, 0.4, eta_t)
    printed_t = expansions.teacher_location(m, Regime(SMALL, SMALL), eta_l=0.1, eta_t=eta_t)
    printed_s = expansions.student_location(
        m, Regime(SMALL, SMALL), eta_l=0.1, eta_u=0.4, eta_t=eta_t
    )
    assert teacher == pytest.approx(printed_t, rel=1e-3)
    assert student == pytest.approx(printed_s, rel=1e-3)


@pytest.mark.parametrize("eta_t", [0.0, 0.5, 1.0])
def test_mixture_forms_are_the_limits_to_first_order(eta_t: float) -> None:
    m = model("mixture")
    teacher, student = limit(m, 0.1, 0.4, eta_t)
    printed = teacher_mixture(m, Regime(SMALL, SMALL), eta_l=0.1, eta_t=eta_t)
    assert teacher == pytest.approx(printed, rel=1e-3)
    first = expansions.student_first_order(
        m, Regime(SMALL, SMALL), eta_l=0.1, eta_u=0.4, eta_t=eta_t
    )
    assert student == pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize("law", ["location", "mixture"])
def test_general_first_order_contains_the_named_teachers(law: Law) -> None:
    m = model(law)
    named = {"location": expansions.teacher_location, "mixture": teacher_mixture}[law]
    rates, mixes = Regime(0.1, 0.1), {"eta_l": 0.2, "eta_t": 0.7}
    general = expansions.teacher_first_order(m, rates, **mixes)
    assert general == pytest.approx(named(m, rates, **mixes))


def test_the_nu_term_of_the_student_is_first_order_too() -> None:
    m = model("location")
    nu = 0.001
    slope = (limit(m, 0.1, 0.4, 1.0, nu)[1] - limit(m, 0.1, 0.4, 1.0, 0.0)[1]) / nu
    printed = [
        expansions.student_location(m, Regime(SMALL, v), eta_l=0.1, eta_u=0.4, eta_t=1.0)
        for v in (0.0, 1.0)
    ]
    assert slope == pytest.approx(printed[1] - printed[0], rel=0.01)


@pytest.mark.parametrize("eta_t", [0.0, 0.5, 1.0])
def test_best_eta_u_minimises_the_printed_student(eta_t: float) -> None:
    m = model("location", mu_s=0.6)
    grid = np.linspace(0, 0.5, 2001)
    risk = [
        expansions.student_location(m, Regime(0.1, 0.2), eta_l=0.2, eta_u=float(u), eta_t=eta_t)
        for u in grid
    ]
    best = expansions.best_eta_u_location(m, Regime(0.1, 0.2), eta_l=0.2, eta_t=eta_t)
    assert best == pytest.approx(grid[int(np.argmin(risk))], abs=3e-4)


def test_print_lacks_the_factor_of_a_finite_gamma() -> None:
    m = model("location")
    exact = exact_limits(m, Regime(0.05, 0.0), eta_l=0.2, eta_u=0.2).teacher_risk([0.2])[0]
    printed = expansions.teacher_location(m, Regime(0.05, 0.0), eta_l=0.2, eta_t=0.2)
    # E[1 / (1 + γ_z x)] = 1 - γ_z p_w for x = ψᵀMψ, so by Jensen E[x] >= p_w / (1 - γ_z p_w).
    assert exact / printed >= 4 / 3
    assert exact / printed < 1.5
    plain = GroupModel.from_cosines([], p_w=1, mu_xi=[], sigma_xi=1, sigma_y=1, law="location")
    alone = exact_limits(plain, Regime(0.25, 0.0), eta_l=0.2, eta_u=0.2).teacher_risk([0.2])
    assert alone[0] == pytest.approx(0.25 * 4 / 3)


def test_under_strong_group_shift_the_law_decides_whether_w2s_works() -> None:
    gains = {}
    for law in ("location", "mixture"):
        m = model(law, mu_w=3.0, mu_s=0.0, p_sw=1.0)  # ‖a‖²/σ_ξ² = 36
        teacher, student = limit(m, 0.5, 0.1, 0.5, nu_z=0.0)
        gains[law] = student / teacher
    assert gains["location"] > 1
    assert gains["mixture"] == pytest.approx(1 / 3, rel=0.5)


eta = st.floats(0, 1)


def up_to(most: float) -> st.SearchStrategy[float]:
    """0, or a size that the model takes."""
    return st.just(0.0) | st.floats(1 / LARGEST, most)


@settings(max_examples=40, deadline=None)
@given(
    mu_w=up_to(4),
    mu_s=up_to(4),
    p_sw=st.floats(1, 2.9),
    nu_z=up_to(0.5),
    eta_l=eta,
    eta_u=eta,
    eta_t=eta,
)
def test_general_first_order_is_the_printed_student_under_the_location_law(
    mu_w: float, mu_s: float, p_sw: float, nu_z: float, eta_l: float, eta_u: float, eta_t: float
) -> None:
    m = model("location", mu_w, mu_s, p_sw)
    rates, mixes = Regime(0.1, nu_z), {"eta_l": eta_l, "eta_u": eta_u, "eta_t": eta_t}
    assert expansions.student_first_order(m, rates, **mixes) == pytest.approx(
        expansions.student_location(m, rates, **mixes), rel=1e-9
    )


@pytest.mark.parametrize("law", ["location", "mixture"])
def test_the_remainder_is_second_order(law: Law) -> None:
    m = model(law)
    gaps = []
    for rate in (1e-3, 1e-4):
        rates, mixes = Regime(rate, rate), {"eta_l": 0.1, "eta_u": 0.4}
        exact = exact_limits(m, rates, rtol=1e-10, **mixes).student_risk([1.0])[0]
        first = expansions.student_first_order(m, rates, eta_t=1.0, **mixes)
        gaps.append(exact - first)
    # rate² (C + O(rate)): a tenth of the rate leaves a hundredth of the gap.
    assert gaps[0] / gaps[1] == pytest.approx(100, rel=0.1)


def test_best_eta_u_is_nan_where_eta_u_makes_no_difference() -> None:
    m = model_with_overlap(
        p_w=3, cos=[1, 1], mu_w=1.0, mu_s=1.0, alignment=1.0, sigma_xi=0.5, sigma_y=1.0
    )
    assert np.isnan(expansions.best_eta_u_location(m, Regime(0.1, 0.1), eta_l=0.2, eta_t=0.5))


@pytest.mark.parametrize("field", ["eta_l", "eta_u", "eta_t"])
def test_bad_eta(field: str) -> None:
    mixes = {"eta_l": 0.1, "eta_u": 0.2, "eta_t": 0.5, field: 1.5}
    with pytest.raises(InputError, match=f"{field}=1.5"):
        expansions.student_location(model("location"), Regime(0.1, 0.1), **mixes)
    with pytest.raises(InputError, match=f"{field}=1.5"):
        expansions.student_first_order(model("mixture"), Regime(0.1, 0.1), **mixes)
