"""Dimensions of measured features against constructions whose dimensions are known."""

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.similarity import dimensions
from w2s_groups.similarity.dimensions import Overlap, cka, moments, overlap, sketch_overlap
from w2s_groups.similarity.group_dimensions import pair_report
from w2s_groups.theory.build import equal_cosines, model_with_overlap

GROUPS = Groups(("negative", "positive"), ("no", "yes"), frozenset({(0, 1), (1, 1)}))


def features(n: int, d_w: int, d_s: int, shared: int, seed: int = 0) -> tuple:
    """Isotropic features of which `shared` coordinates are the same variables in both."""
    z = stream(seed, "test/features").standard_normal((n, d_w + d_s - shared))
    return z[:, :d_w], z[:, d_w - shared :]


def intrinsic_dimension(x: np.ndarray, fraction: float = 0.99) -> int:
    narrow = dimensions.narrowed(x)
    return len(dimensions.principal("x", moments(narrow, narrow).ww, fraction)[0])


def canonical(w: np.ndarray, s: np.ndarray) -> Overlap:
    return overlap(moments(w, s), 1.0)


def test_intrinsic_dimension_counts_the_large_eigenvalues() -> None:
    x = np.diag([10.0, 10.0, 1.0, 0.1])  # second moment 100, 100, 1, 0.01 over the trace 201.01
    assert intrinsic_dimension(x, 0.99) == 2
    assert intrinsic_dimension(x, 0.999) == 3
    assert intrinsic_dimension(x, 1.0) == 4


def test_wide_features_have_the_dimension_of_their_transpose() -> None:
    x = stream(0, "test/wide").standard_normal((12, 40)) @ np.diag(1 / np.arange(1, 41))
    gram = np.linalg.eigvalsh(x @ x.T)[::-1]
    expected = int(np.searchsorted(np.cumsum(gram), 0.99 * gram.sum())) + 1
    assert intrinsic_dimension(x) == expected


def test_canonical_overlap_is_the_number_of_shared_variables() -> None:
    w, s = features(4000, 12, 8, 5)
    found = canonical(w, s)
    assert (found.d_w, found.d_s) == (12, 8)
    assert found.raw > 5  # chance adds about (12 - 5)(8 - 5)/4000
    assert found.corrected == pytest.approx(5, abs=0.01)


def test_canonical_overlap_is_scikit_learns_squared_correlations() -> None:
    w, s = features(300, 4, 3, 1)
    s = s + 0.5 * stream(1, "test/noise").standard_normal(s.shape)
    w, s = w - w.mean(0), s - s.mean(0)
    u, v = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(w, s)
    squared = [np.corrcoef(u[:, k], v[:, k])[0, 1] ** 2 for k in range(3)]
    assert canonical(w, s).raw == pytest.approx(sum(squared), rel=1e-6)


def test_canonical_overlap_ignores_an_invertible_change_of_features() -> None:
    w, s = features(500, 6, 5, 2)
    change = stream(2, "test/change").standard_normal((6, 6))
    before = canonical(w, s).raw
    assert canonical(w @ change, s).raw == pytest.approx(before)


def test_unrelated_features_are_at_chance() -> None:
    found = [canonical(*features(400, 20, 10, 0, k)) for k in range(20)]
    assert np.mean([f.raw for f in found]) == pytest.approx(found[0].chance, rel=0.1)
    assert abs(np.mean([f.corrected for f in found])) < 0.1


def test_sketch_follows_its_seed() -> None:
    w, s = features(300, 6, 30, 4)
    one, two, other = (sketch_overlap(w, s, 5, 20, seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_sketch_of_unrelated_features_is_at_its_chance_level() -> None:
    w, s = features(2000, 20, 60, 0)
    found = [sketch_overlap(w, s, 10, 8, seed) for seed in range(40)]
    chance = dimensions.sketch_chance(w, s, 10, 8)
    assert chance == 10 * 8 / 20
    assert abs(np.mean(found) - chance) < 4 * np.std(found) / np.sqrt(len(found))


def test_cka_is_one_up_to_rotation_and_scale_and_centred() -> None:
    w, s = features(300, 6, 5, 2)
    turn = np.linalg.qr(stream(3, "test/turn").standard_normal((6, 6)))[0]
    assert cka(moments(w, 3 * w @ turn + 5)) == pytest.approx(1.0)
    centre = np.eye(300) - 1 / 300
    K, L = centre @ w @ w.T @ centre, centre @ s @ s.T @ centre
    by_kernels = np.sum(K * L) / (np.linalg.norm(K) * np.linalg.norm(L))
    assert cka(moments(w, s)) == pytest.approx(by_kernels)


def test_group_dimensions_of_the_model_are_recovered() -> None:
    d_z, p_w, p_s, p_sw = 6, 4, 3, 2.0
    model = model_with_overlap(
        p_w=p_w, cos=equal_cosines(p_w, p_s, p_sw), mu_w=3.0, mu_s=2.0, sigma_xi=1.0, sigma_y=0.1
    )
    sample = model.draw(8000, 0.5, d_z, stream(3, "test/model"), task="classification")
    codes = GROUPS.codes((sample.y > 0).astype(int), sample.g)
    found = pair_report(
        model.features("teacher", sample.z, sample.xi),
        model.features("student", sample.z, sample.xi),
        codes,
        GROUPS,
        seed=0,
        fraction=1.0,
    )
    assert found.d_z == d_z
    assert found.p_w.value == pytest.approx(p_w)
    assert found.p_s.value == pytest.approx(p_s)
    assert abs(found.p_sw.value - p_sw) < max(4 * found.p_sw.error, 0.05)


def test_a_report_has_the_overlap_of_all_samples_and_the_scatter_of_repeated_ones() -> None:
    """The jackknife's standard error of CKA against the scatter over 40 independent samples."""
    reports = []
    for seed in range(40):
        w, s = features(200, 4, 3, 1, seed)
        codes = np.arange(200) % 4
        reports.append(pair_report(w, s + 0.3 * w[:, :3], codes, GROUPS, seed=0, fraction=1.0))
        whole = canonical(w, s + 0.3 * w[:, :3])
        assert reports[-1].d_sw_canonical.value == pytest.approx(whole.raw)
        assert reports[-1].d_sw_corrected.value == pytest.approx(whole.corrected)
        assert reports[-1].chance_canonical == whole.chance == 4 * 3 / 200
    scatter = np.std([report.cka.value for report in reports], ddof=1)
    assert np.mean([report.cka.error for report in reports]) == pytest.approx(scatter, rel=0.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w, s: (np.where(w == w[3, 2], np.nan, w), s), "row 3 is not finite"),
        (lambda w, s: (w[:-1], s), "same samples"),
        (lambda w, s: (w[:1], s[:1]), "at least 2"),
        (lambda w, s: (0 * w, s), "all zero"),
        (lambda w, s: (w.astype(int), s), "floating"),
    ],
)
def test_bad_features(change: object, words: str) -> None:
    w, s = change(*features(30, 4, 3, 1))  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        pair_report(w, s, np.zeros(len(w), dtype=int), GROUPS, seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fraction": 0.0}, "fraction=0.0"),
        ({"fraction": 1.1}, "fraction=1.1"),
        ({"fraction": float("nan")}, "fraction=nan"),
        ({"d_z": 0}, "d_z=0"),
        ({"group_codes": np.full(30, 4)}, "codes in 0..3"),
        ({"group_codes": np.zeros(29, dtype=int)}, "must be 30 codes"),
    ],
)
def test_bad_arguments(change: dict[str, object], words: str) -> None:
    w, s = features(30, 4, 3, 1)
    arguments = {"group_codes": np.zeros(30, dtype=int), "groups": GROUPS, "seed": 0, **change}
    with pytest.raises(InputError, match=words):
        pair_report(w, s, **arguments)
    with pytest.raises(InputError, match="n=19 samples"):
        pair_report(w[:19], s[:19], np.zeros(19, dtype=int), GROUPS, seed=0)
