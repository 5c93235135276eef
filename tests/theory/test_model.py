from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.model import GroupModel

SPREAD = {"sigma_xi": 0.7, "sigma_y": 0.5}


def plain(**changes: Any) -> GroupModel:
    arguments: dict[str, Any] = {
        "W": np.eye(4)[:, :2],
        "S": np.eye(4)[:, 1:3],
        "mu_xi": np.array([1.0, -2.0, 0.5, 0.0]),
        **SPREAD,
    }
    return GroupModel(**{**arguments, **changes})


@pytest.mark.parametrize("side", ["teacher", "student"])
def test_mixture_moments_are_the_weighted_moments_of_its_groups(side: Any) -> None:
    mixture, location = plain(), plain(law="location")
    for eta in (0.0, 0.3, 1.0):
        by_group = [location.second_moment(side, g) for g in (0.0, 1.0)]
        expected = (1 - eta) * by_group[0] + eta * by_group[1]
        np.testing.assert_allclose(mixture.second_moment(side, eta), expected, atol=1e-15)


@pytest.mark.parametrize("law", ["mixture", "location"])
def test_draws_have_the_stated_moments(law: Any) -> None:
    model, n, eta = plain(law=law), 200_000, 0.3
    xi, g = model.draw_xi(n, eta, stream(0, "xi"))
    psi_w, psi_s = model.psi("teacher", xi), model.psi("student", xi)
    for psi, stated in (
        (psi_w, model.second_moment("teacher", eta)),
        (psi_s, model.second_moment("student", eta)),
    ):
        products = psi[:, :, None] * psi[:, None, :]
        error = products.std(axis=0) / np.sqrt(n)
        assert np.all(np.abs(products.mean(axis=0) - stated) <= 5 * error + 1e-12)
    if law == "mixture":
        assert g is not None
        assert abs(g.mean() - eta) < 5 * np.sqrt(eta * (1 - eta) / n)
        np.testing.assert_allclose(xi[g == 1].mean(axis=0), model.mu_xi, atol=5 * 0.7 / 240)
    else:
        assert g is None


def test_location_has_groups_only_where_the_mix_is_pure() -> None:
    model = plain(law="location")
    for eta in (0.0, 1.0):
        g = model.draw_xi(10, eta, stream(0, "xi"))[1]
        assert g is not None
        assert (g == eta).all()


def test_regression_and_classification_share_their_draw() -> None:
    model = plain()
    regression, classification = (
        model.draw(50, 0.2, 7, stream(3, "draw"), task=task)
        for task in ("regression", "classification")
    )
    np.testing.assert_array_equal(regression.xi, classification.xi)
    np.testing.assert_array_equal(np.sign(regression.y), classification.y)
    assert regression.z.shape == (50, 7)
    assert np.linalg.norm(model.beta_star(7)) == pytest.approx(model.beta_norm)


def test_label_noise_has_the_stated_spread() -> None:
    n = 50_000
    draw = plain().draw(n, 0.2, 3, stream(4, "draw"))
    noise = draw.y - draw.z @ plain().beta_star(3)
    assert abs(noise.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * n)


def test_features_are_the_tensor_product() -> None:
    model = plain()
    draw = model.draw(5, 0.5, 3, stream(0, "draw"))
    psi = model.psi("teacher", draw.xi)
    expected = np.array([np.kron(psi[i], draw.z[i]) for i in range(5)])
    np.testing.assert_allclose(model.features("teacher", draw.z, draw.xi), expected)


@pytest.mark.parametrize("law", ["mixture", "location"])
def test_swapping_groups_translates_the_features(law: Any) -> None:
    model = plain(law=law)
    swapped = replace(model, mu_xi=-model.mu_xi)
    translate = np.eye(model.p_w)
    translate[1:, 0] = -model.W.T @ model.mu_xi
    for eta in (0.0, 0.2, 1.0):
        expected = translate @ model.second_moment("teacher", eta) @ translate.T
        np.testing.assert_allclose(swapped.second_moment("teacher", 1 - eta), expected, atol=1e-14)


def test_similarity_and_note() -> None:
    assert plain().p_sw == 2
    assert plain().note == ""
    assert "p_s=4 > p_w=3" in plain(S=np.eye(4)[:, :3]).note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W": 2 * np.eye(4)[:, :2]}, "W is off orthonormal"),
        ({"S": np.ones((4, 1))}, "S is off orthonormal"),
        ({"S": np.eye(3)[:, :1]}, "S has 3 rows but mu_xi has p=4"),
        ({"W": np.full((4, 1), np.nan)}, "W of shape"),
        ({"mu_xi": np.ones((2, 2))}, "mu_xi of shape"),
        ({"sigma_xi": 0.0}, "sigma_xi=0.0 is out of range"),
        ({"sigma_y": -1.0}, "sigma_y=-1.0 is out of range"),
        ({"beta_norm": np.inf}, "beta_norm=inf is out of range"),
        ({"law": "mixtures"}, "did you mean 'mixture'"),
    ],
)
def test_bad_model(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plain(**changes)


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_bad_eta(eta: float) -> None:
    with pytest.raises(InputError, match="not a minority fraction"):
        plain().second_moment("teacher", eta)
    with pytest.raises(InputError, match="not a minority fraction"):
        plain().draw_xi(3, eta, stream(0, "xi"))


def test_bad_draw() -> None:
    with pytest.raises(InputError, match="n=0 is not a size"):
        plain().draw(0, 0.1, 3, stream(0, "draw"))
    with pytest.raises(InputError, match="task="):
        plain().draw(2, 0.1, 3, stream(0, "draw"), task="rank")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="side="):
        plain().side("both")  # type: ignore[arg-type]


@given(
    p_w=st.integers(2, 7),
    p_s=st.integers(2, 7),
    share=st.floats(0, 1),
    mu_w=st.floats(0.1, 5),
    mu_s=st.floats(0.1, 5),
)
def test_built_models_hit_their_numbers(
    p_w: int, p_s: int, share: float, mu_w: float, mu_s: float
) -> None:
    p_sw = 1 + share * (min(p_w, p_s) - 1)
    cos = equal_cosines(p_w, p_s, p_sw)
    try:
        model = model_with_overlap(p_w=p_w, cos=cos, mu_w=mu_w, mu_s=mu_s, **SPREAD)
    except InputError:
        assert max(cos) == 1  # full sharing is the only infeasible case
        return
    assert (model.p_w, model.p_s) == (p_w, p_s)
    assert model.p_sw == pytest.approx(p_sw, abs=1e-12)
    assert np.linalg.norm(model.W.T @ model.mu_xi) == pytest.approx(mu_w)
    assert np.linalg.norm(model.S.T @ model.mu_xi) == pytest.approx(mu_s, rel=1e-6)


@given(alignment=st.floats(-1, 1), p_w=st.integers(3, 6), share=st.floats(0.05, 0.95))
def test_built_models_hit_the_alignment(alignment: float, p_w: int, share: float) -> None:
    cos = equal_cosines(p_w, 3, 1 + 2 * share)
    model = model_with_overlap(p_w=p_w, cos=cos, mu_w=1.3, mu_s=0.6, alignment=alignment, **SPREAD)
    a, b = model.W.T @ model.mu_xi, model.Xi @ (model.S.T @ model.mu_xi)
    assert np.linalg.norm(a) == pytest.approx(1.3)
    assert np.linalg.norm(model.S.T @ model.mu_xi) == pytest.approx(0.6)
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(alignment, abs=1e-9)


def test_full_sharing_is_feasible_where_the_teacher_sees_more() -> None:
    model = model_with_overlap(p_w=5, cos=[1, 1], mu_w=3, mu_s=2, **SPREAD)
    assert model.p_sw == 3
    np.testing.assert_allclose(model.Xi @ (model.S.T @ model.mu_xi), [2, 0, 0, 0])
    np.testing.assert_allclose(np.linalg.norm(model.W.T @ model.mu_xi), 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cos": [1, 1], "p_w": 3, "mu_s": 2.0}, "see in full"),
        ({"cos": [1.2]}, "cosine lies in"),
        ({"cos": [0.5, 0.5], "p_w": 2}, "must be 0"),
        ({"p_w": 0}, "p_w=0 is not a feature dimension"),
        ({"p_w": 2**31}, "p_w=2147483648 is not a feature dimension"),
        ({"p_w": 1, "cos": [0.0]}, "mu_w=1.0 needs p_w >= 2"),
        ({"cos": []}, "mu_s=0.5 needs p_s >= 2"),
        ({"alignment": 2.0}, "alignment=2.0 is not a cosine"),
        ({"alignment": 0.5, "cos": [0.0]}, "alignment=0.5 is undefined"),
        ({"alignment": 0.5, "p_w": 2}, "needs p_w >= 3"),
        ({"mu_w": -1.0}, "mu_w=-1.0 is out of range"),
    ],
)
def test_infeasible_wishes(changes: dict[str, Any], message: str) -> None:
    wish = {"p_w": 4, "cos": [0.5], "mu_w": 1.0, "mu_s": 0.5, **SPREAD, **changes}
    with pytest.raises(InputError, match=message):
        model_with_overlap(**wish)


def test_infeasible_overlap() -> None:
    with pytest.raises(InputError, match=r"1 <= p_sw <= min\(p_w, p_s\) = 3"):
        equal_cosines(5, 3, 3.2)
    with pytest.raises(InputError, match="pad mu_xi with zeros"):
        GroupModel.from_cosines([0.5], p_w=3, mu_xi=[1, 0], **SPREAD)
