"""The map is the limits at every point, its zero line is where they vanish."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from w2s_groups.core.errors import InputError
from w2s_groups.theory.answer import answer
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.model import Law
from w2s_groups.theory.phase import best_eta_u_exact, phase_map, risk_map
from w2s_groups.theory.regime import Regime

RATES = Regime(0.08, 0.15)


def model(law: Law = "mixture"):  # type: ignore[no-untyped-def]
    return model_with_overlap(
        p_w=5, cos=equal_cosines(5, 3, 1.4), mu_w=2.0, mu_s=1.0, sigma_xi=0.5, sigma_y=1.0, law=law
    )


@pytest.mark.parametrize("law", ["mixture", "location"])
@pytest.mark.parametrize(("alpha_w", "alpha_s"), [(0.0, 0.0), (0.1, 0.05)])
def test_every_point_of_the_map_is_the_limit_there(
    law: Law, alpha_w: float, alpha_s: float
) -> None:
    m, eta_t = model(law), [0.0, 0.5, 1.0]
    eta_l, eta_u = np.array([0.05, 0.3]), np.array([0.0, 0.2, 0.5])
    rates = Regime(0.08, 0.15, alpha_w, alpha_s)
    found = risk_map(m, rates, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)
    for i, x in enumerate(eta_l):
        for j, y in enumerate(eta_u):
            one = exact_limits(m, rates, eta_l=x, eta_u=y)
            np.testing.assert_allclose(found.teacher[:, i], one.teacher_risk(eta_t), rtol=3e-5)
            np.testing.assert_allclose(found.student[:, i, j], one.student_risk(eta_t), rtol=3e-5)


def test_zero_line_and_best_eta_u() -> None:
    m = model()
    axis = np.linspace(0, 0.5, 26)
    found = phase_map(m, RATES, eta_l=axis, eta_u=axis, eta_t=[0.5])
    gain = found.gain_exact[0]
    rows, columns = np.nonzero(gain[:, :-1] * gain[:, 1:] < 0)
    assert rows.size
    for i, j in zip(rows, columns, strict=True):
        low, high = gain[i, j], gain[i, j + 1]
        zero = axis[j] + low / (low - high) * axis[1]
        here = exact_limits(m, RATES, eta_l=axis[i], eta_u=zero).gain([0.5])[0]
        assert abs(here) < 0.02 * np.abs(gain).max()
    best = found.best_eta_u_exact[0]
    for i in (0, 12, 25):
        on_grid = axis[int(np.argmax(found.gain_exact[0, i]))]
        assert abs(best[i] - on_grid) <= axis[1] + 1e-9


def test_answer_reads_the_map() -> None:
    m = model()
    found = answer(m, RATES, eta_l=0.05, eta_u=0.3, eta_t=[0.5]).mixes[0]
    exact = exact_limits(m, RATES, eta_l=0.05, eta_u=0.3)
    assert found.exact.teacher == pytest.approx(exact.teacher_risk([0.5])[0], rel=1e-4)
    assert found.exact.student == pytest.approx(exact.student_risk([0.5])[0], rel=1e-4)
    for zero in found.exact.zeros:
        gain = exact_limits(m, RATES, eta_l=0.05, eta_u=zero).gain([0.5])[0]
        assert abs(gain) < 1e-3 * found.exact.teacher
    best = found.exact.best_eta_u
    for other in (best - 0.02, best + 0.02):
        if 0 <= other <= 0.5:
            gain = exact_limits(m, RATES, eta_l=0.05, eta_u=other).gain([0.5])[0]
            assert gain <= found.best_gain + 1e-6


def test_bad_axes() -> None:
    with pytest.raises(InputError, match="eta_u"):
        risk_map(model(), RATES, eta_l=np.array([0.1]), eta_u=np.array([]), eta_t=[0.5])
    with pytest.raises(InputError, match=r"eta_l=1.5"):
        risk_map(model(), RATES, eta_l=np.array([1.5]), eta_u=np.array([0.1]), eta_t=[0.5])


@pytest.mark.parametrize("law", ["mixture", "location"])
def test_best_eta_u_is_the_minimiser_of_the_limit(law: Law) -> None:
    m = model_with_overlap(
        p_w=5, cos=equal_cosines(5, 3, 1.4), mu_w=2.0, mu_s=0.3, sigma_xi=0.7, sigma_y=1.0, law=law
    )
    eta_l, mixes = [0.2, 0.4], [0.0, 0.5]
    best = best_eta_u_exact(m, RATES, eta_l=np.array(eta_l), eta_t=mixes)
    for i, eta in enumerate(eta_l):
        for t, mix in enumerate(mixes):
            found = minimize_scalar(
                lambda u, eta=eta, mix=mix: float(
                    exact_limits(m, RATES, eta_l=eta, eta_u=u).student_risk(mix)
                ),
                bounds=(0, 0.5),
                method="bounded",
                options={"xatol": 1e-6},
            )
            assert best[t, i] == pytest.approx(found.x, abs=2e-4)


def test_renaming_the_groups_mirrors_the_map() -> None:
    axis = np.linspace(0, 1, 5)
    one, other = (
        risk_map(m, RATES, eta_l=axis, eta_u=axis, eta_t=[0.2, 0.8]).gain
        for m in (model(), replace(model(), mu_xi=-model().mu_xi))
    )
    np.testing.assert_allclose(other[::-1, ::-1, ::-1], one, atol=1e-5 * np.abs(one).max())


def test_print_covers_no_ridge_model_and_same_features_leave_eta_u_free() -> None:
    axis = np.linspace(0, 0.5, 3)
    ridge = phase_map(model(), Regime(0.08, 0.15, alpha_s=0.1), eta_l=axis, eta_u=axis)
    assert np.isnan(ridge.gain_printed).all()
    assert np.isnan(ridge.best_eta_u_printed).all()
    same = model_with_overlap(
        p_w=3, cos=[1, 1], mu_w=1.0, mu_s=1.0, alignment=1.0, sigma_xi=0.5, sigma_y=1.0
    )
    assert np.isnan(best_eta_u_exact(same, RATES, eta_l=axis, eta_t=[0.5])).all()
    assert answer(same, RATES, eta_l=0.1, eta_u=0.3).mixes[0].exact.zeros == ()
