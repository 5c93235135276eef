"""What a report says across pairs and variants, against hand-made tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2s_groups.figures import keep_q, similarity
from w2s_groups.methods.variants import of_settings
from w2s_groups.reports.across import across
from w2s_groups.reports.published import claims, dimensions
from w2s_groups.results.pivot import grids
from w2s_groups.similarity.table import pairs_of

POINTS = ((0.05, 0.5), (0.5, 0.05))
# Accuracy of every group in seed 0; each later seed adds 0.01 to the student methods alone.
LEVEL = {"teacher": 0.60, "w2s": 0.70, "selective": 0.74}


def table(pairs: list[tuple[str, str]], extra: dict[str, float] | None = None) -> pd.DataFrame:
    """Two groups a class, three seeds, all groups alike; `extra`: further methods' levels."""
    rows = []
    for k, (teacher, student) in enumerate(pairs):
        for eta_l, eta_u in POINTS:
            for seed in range(3):
                for method, level in {**LEVEL, **(extra or {})}.items():
                    shift = 0.0 if method == "teacher" else 0.01 * seed + 0.02 * k
                    for g in range(4):
                        rows.append({
                            "cell": "c", "data": "waterbirds", "teacher": teacher,
                            "student": student, "n_l": 10, "n_u": 20, "eta_l": eta_l,
                            "eta_u": eta_u, "seed": seed, "method": method, "split": "test",
                            "group": f"g{g}", "y": g // 2, "a": g % 2, "minority": g in (1, 2),
                            "metric": "accuracy", "value": level + shift, "n": 100,
                        })  # fmt: skip
    return pd.DataFrame(rows)


PAIRS = [("a", "b"), ("b", "a"), ("a", "c")]
NUMBERS = {("a", "b"): (0.2, 0.9), ("b", "a"): (0.4, 0.5), ("a", "c"): (0.6, 0.7)}


def measured(teacher: str, student: str) -> dict[str, object]:
    share, cka = NUMBERS[teacher, student]
    values = {"d_w": 50.0, "d_s": 20.0, "d_sw_corrected": 50 * share, "cka": cka}
    numbers = [
        {"key": key, "name": key, "symbol": key, "value": value, "error": 0.1, "chance": None,
         "definition": ""}
        for key, value in values.items()
    ]  # fmt: skip
    sketch = {**numbers[0], "key": "d_sw_sketch", "value": 7.5, "chance": 4.0}
    return {"teacher": teacher, "student": student, "numbers": [*numbers, sketch]}


def test_one_pair_without_variants_has_nothing_to_add() -> None:
    found = grids(table(PAIRS[:1]))
    assert across(found, found, {"experiment": "enhanced_w2s"}) == ([], {})


def test_every_pair_shows_paired_differences() -> None:
    found = grids(table(PAIRS))
    content, _ = across(found, found, {})
    rows = {(row[1].partition(",")[0], row[2]): row[1:] for row in content[0].rows}
    assert len(rows) == 6
    # W2S of pair 0 is .70, .71, .72 against .60: mean .11, t interval .011 * 4.303 / sqrt 3.
    half = 4.302652729749464 * 0.01 / np.sqrt(3)
    assert rows["a → b", "0.05"][3] == f"+0.110 [{0.11 - half:+.3f}, {0.11 + half:+.3f}]"
    assert rows["a → b", "0.05"][5] == "+0.040 [+0.040, +0.040]"


def test_claims_are_compared_with_gains_in_the_same_setting() -> None:
    found = grids(table(PAIRS))
    content, _ = across(found, found, {"experiment": "enhanced_w2s", "eta_o": 0.05})
    beside = next(section for section in content if section.title == "Comparison with the paper")
    assert len(beside.rows) == len(claims())
    by_claim = {(row[0], row[1]): row for row in beside.rows}
    same = by_claim["waterbirds", "(0.5, original)"]
    assert same[2] == "lowest +0.77, highest +16.68 percent"
    assert same[4] == "quoted, not verified"
    assert same[6] == "lowest +4.00, highest +4.00 points, 3 pairs, η_ℓ = 0.5, η_u = 0.05"
    assert same[7] == "lowest +3.23, highest -12.68, of other networks"
    assert by_claim["bffhq", "(0.5, original)"][7] == "other data and networks"
    assert by_claim["bg_coco", "(original, 0.5)"][2] == "lowest -3.52 percent"


def test_data_sets_are_kept_apart() -> None:
    better = table(PAIRS).assign(data="other")
    better.loc[better.method == "selective", "value"] += 0.1
    found = grids(pd.concat([table(PAIRS), better]))
    settings = {
        "experiment": "enhanced_w2s", "eta_o": 0.05, "pair": [measured(*pair) for pair in PAIRS],
    }  # fmt: skip
    content, figures = across(found, found, settings)
    (beside,) = [section for section in content if section.title == "Comparison with the paper"]
    shown = {row[5]: row[6] for row in beside.rows if row[0] == "waterbirds"}
    assert shown["waterbirds"].startswith("lowest +4.00, highest +4.00 points, 3 pairs")
    assert shown["other"].startswith("lowest +14.00, highest +14.00 points, 3 pairs")
    assert list(figures) == ["similarity_1", "similarity_2"]
    similar = [section for section in content if section.title.startswith("Gain and similarity")]
    assert [len(section.rows) for section in similar] == [3, 3]
    assert len(set(content[0].rows)) == 12


def test_gain_and_similarity() -> None:
    found = grids(table(PAIRS))
    dots = similarity.dots(found, pairs_of({"pair": [measured(*pair) for pair in PAIRS]}))
    assert [(dot.teacher, dot.student) for dot in dots] == sorted(PAIRS)
    by_pair = {(dot.teacher, dot.student): dot for dot in dots}
    assert by_pair["b", "a"].share == pytest.approx(0.4)
    # Gains rise with k: a-b, b-a, a-c; so do the shares, while CKA goes .9, .5, .7.
    assert similarity.spearman(dots, "share") == pytest.approx(1.0)
    assert similarity.spearman(dots, "cka") == pytest.approx(-0.5)
    assert similarity.dots(found, pairs_of({"pair": [measured(*PAIRS[0])]})) == []
    content, figures = across(found, found, {"pair": [measured(*pair) for pair in PAIRS]})
    assert list(figures) == ["similarity"]
    assert content[-2].figure == "similarity.png"


def varied_by(*fields: str) -> dict[str, object]:
    """Settings of a run that varied keep and q, in the order of `fields`."""
    values = {"keep": [0.25, 0.5], "q": [0.2, 0.7]}
    return {"vary": {"selective": {field: values[field] for field in fields}}}


def test_sensitivity_takes_keep_and_q_in_either_order() -> None:
    other = {
        f"selective[q={q:g},keep={keep:g}]": 0.7 + keep for keep in (0.25, 0.5) for q in (0.2, 0.7)
    }
    (whole,) = grids(table(PAIRS[:1], other))
    varied = keep_q.variants(whole, of_settings(varied_by("q", "keep")))
    assert varied is not None
    assert varied.method[0.25, 0.7] == "selective[q=0.7,keep=0.25]"
    levels = {
        f"selective[keep={keep:g},q={q:g}]": 0.70 + keep / 10 + q / 100
        for keep in (0.25, 0.5)
        for q in (0.2, 0.7)
    }
    (whole,) = grids(table(PAIRS[:1], levels))
    varied = keep_q.variants(whole, of_settings(varied_by("keep", "q")))
    assert varied is not None
    assert (varied.keep, varied.q) == ((0.25, 0.5), (0.2, 0.7))
    gain = keep_q.gain(whole, "worst_group", varied.method[0.5, 0.7], 0.05)
    assert float(gain.mean) == pytest.approx(0.05 + 0.007, abs=1e-12)
    settings = {"methods": {"selective": {"keep": 0.5, "q": 0.7}}, **varied_by("keep", "q")}
    content, figures = across(grids(table(PAIRS[:1])), [whole], settings)
    assert list(figures) == ["keep_q"]
    assert len(content[0].rows) == 2 * 4
    assert content[0].rows[0][:4] == ("0.05", "0.25", "0.2", "+0.027 [+0.027, +0.027]")


def test_fewer_than_four_variants_are_no_grid() -> None:
    (whole,) = grids(table(PAIRS[:1], {"selective[keep=0.5,q=0.2]": 0.7}))
    assert keep_q.variants(whole, of_settings(varied_by("keep", "q"))) is None


def test_sensitivity_is_drawn_with_a_group_absent_and_with_one_seed() -> None:
    levels = {f"selective[keep={k},q={q}]": 0.7 + k * q for k in (0.25, 0.5) for q in (0.2, 0.7)}
    some = table(PAIRS[:1], levels)
    some = some[some.seed == 0]
    some.loc[some.group == "g1", ["value", "n"]] = [np.nan, 0]
    (whole,) = grids(some)
    varied = keep_q.variants(whole, of_settings(varied_by("keep", "q")))
    assert varied is not None
    keep_q.draw(whole, varied)


def test_published_dimensions_are_shown_with_their_chance_level() -> None:
    settings = {"data": {"name": "birds"}, "pair": [measured(*pair) for pair in PAIRS]}
    (section,) = dimensions(settings)
    by_pair = {row[1]: row for row in section.rows}
    # By hand: 194 * 443 / 512 = 167.86, against the published 167.64.
    assert by_pair["ResNet-18 → CLIP ViT-B/32"][3:] == ("194", "443", "167.6", "167.9", "-0.2")
    # Its features are wider than the student's 768: 522 * 443 / 768 = 301.1.
    assert by_pair["ResNet-50 → CLIP ViT-B/32"][6] == "301.1"
    assert by_pair["a → b"] == ("birds", "a → b", "measured", "50", "20", "7.5", "4.0", "+3.5")
    assert dimensions({**settings, "pair": settings["pair"][:2]}) == []
