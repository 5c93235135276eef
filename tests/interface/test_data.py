"""Arrays as data: what is read, in which order, and what is refused in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import w2s_groups as w2s

RNG = np.random.default_rng(0)
N = 40
GIVEN: dict[str, Any] = {
    "weak": RNG.standard_normal((N, 3)),
    "strong": RNG.standard_normal((N, 5)),
    "y": np.arange(N) % 2,
    "group": np.arange(N) // 2 % 2,
    "split": np.where(np.arange(N) < 30, "train", "test"),
}


def data(**other: Any) -> w2s.Data:
    return w2s.Data(**{**GIVEN, **other})


def test_rows_come_back_in_the_order_in_which_they_were_given() -> None:
    made = data()
    assert len(made) == N
    assert_array_equal(made.y, GIVEN["y"])
    assert_array_equal(made.group, GIVEN["group"])
    assert_array_equal(made.split, np.where(GIVEN["split"] == "train", 0, 2))
    assert_array_equal(made.dataset.features["teacher"],
                       GIVEN["weak"].astype(np.float32)[made.rows])  # fmt: skip
    assert made.counts["train"].sum() == 30
    assert made.counts.loc["y0-on-a1", "minority"]
    assert "40 samples" in repr(made)


def test_ids_sort_the_samples_by_number_or_by_name() -> None:
    numbers = np.arange(N)[::-1]
    assert_array_equal(data(ids=numbers).rows, numbers)
    assert_array_equal(data(ids=[f"{k:02d}x" for k in numbers]).rows, numbers)


def test_names_are_classes_in_their_order_and_minority_is_given_by_name() -> None:
    cats = np.where(GIVEN["y"] == 1, "dog", "cat")
    places = pd.Categorical(np.where(GIVEN["group"] == 1, "out", "in"))
    made = data(y=cats, group=pd.Series(places), minority=[("cat", "out")])
    groups = made.dataset.groups
    assert groups.class_names == ("cat", "dog")
    assert groups.attribute_names == ("in", "out")
    assert groups.minority == {(0, 1)}
    turned = data(y=cats, group=places, class_names=["dog", "cat"], minority=[("dog", "in")])
    assert turned.dataset.groups.minority == {(0, 0)}
    assert_array_equal(turned.y, 1 - made.y)


def test_three_classes_and_three_attributes() -> None:
    made = data(y=np.arange(N) % 3, group=np.arange(N) // 3 % 3)
    assert made.dataset.groups.n_groups == 9
    assert made.dataset.groups.is_minority.sum() == 6
    four = data(y=np.arange(N) % 3, group=np.arange(N) // 3 % 4, minority=[(0, 3), (1, 0)])
    assert four.dataset.groups.minority == {(0, 3), (1, 0)}


def test_a_group_without_test_samples_is_missing() -> None:
    y = np.arange(400) % 2
    a = np.arange(400) // 2 % 2
    split = np.where((np.arange(400) >= 300) & ~((y == 0) & (a == 1)), "test", "train")
    X = RNG.standard_normal((400, 4))
    made = w2s.Data(weak=X, strong=X, y=y, group=a, split=split)
    results = w2s.run(made, methods=["teacher", "w2s"], eta_l=0.5, eta_u=0.5, n_l=40, n_u=80,
                      n_seeds=3)  # fmt: skip
    test = results.table.query("split == 'test' and metric == 'accuracy' and group == 'y0-on-a1'")
    assert (test["n"] == 0).all()
    assert test["value"].isna().all()


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"weak": np.zeros(N)}, r"weak of shape \(40,\) must be \(N, d\)"),
        ({"weak": np.zeros((N, 0))}, r"weak of shape \(40, 0\)"),
        ({"weak": np.full((N, 2), np.nan)}, r"weak\[0, 0\]=nan and 79 more"),
        ({"strong": np.where(np.arange(N) == 7, np.inf, 1.0)[:, None]}, r"strong\[7, 0\]=inf"),
        ({"strong": np.full((N, 1), 1e300)}, r"strong\[0, 0\]=1e\+300.*float32"),
        ({"strong": np.zeros((N, 1), complex)}, "complex"),
        ({"strong": [["a"]] * N}, "real numbers"),
        ({"strong": pd.DataFrame({"a": [1.0] * N, "b": ["x"] * N})}, r"strong\[0, 1\]='x'"),
        ({"strong": np.zeros((N - 1, 2))}, "weak has 40 rows and strong has 39"),
        ({"y": np.arange(N - 1) % 2}, r"y of shape \(39,\) must be \(40,\)"),
        ({"y": np.eye(2)[GIVEN["y"]]}, r"y of shape \(40, 2\)"),
        ({"y": np.zeros(N)}, None),
        ({"y": ["cat"] * N}, "2 to 1000"),
        ({"y": [float("nan"), *GIVEN["y"][1:]]}, "reads as a missing label"),
        ({"y": [None, *GIVEN["y"][1:]]}, "reads as a missing label"),
        ({"y": GIVEN["y"] + 0.5}, "fraction"),
        ({"y": ["Cat", "cat"] * (N // 2)}, "two spellings"),
        ({"y": [b"a", b"b"] * (N // 2)}, "not a label"),
        ({"y": ["cat", "dog"] * (N // 2)}, "minority is not given"),
        ({"minority": [(0, 5)]}, "minority: 5 is not a value of group"),
        ({"minority": [3]}, "must be a pair"),
        ({"split": GIVEN["split"] == "test"}, "True and False"),
        ({"split": ["train"] * N}, "no test row"),
        ({"split": ["test"] * N}, "no train row"),
        ({"split": ["trian", *GIVEN["split"][1:]]}, "outside the coding"),
        ({"ids": [1] * N}, "'1' is there twice"),
        ({"identity": [""] * N}, r"identity\[0\] is missing"),
        ({"target": [np.nan] * N}, r"target\[0\]=nan"),
        ({"target": ["x"] * N}, "target must be numbers"),
        ({"name": "../x"}, None),
    ],
)
def test_a_wrong_array_is_one_sentence(other: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:  # refused by the run, before any work
        with pytest.raises(w2s.InputError) as refused:
            w2s.run(data(**other), methods=["teacher"], eta_l=0.5, eta_u=0.5, n_l=4, n_u=8)
    else:
        with pytest.raises(w2s.InputError, match=sentence) as refused:
            data(**other)
    assert "\n" not in str(refused.value)


def test_pandas_under_another_index_is_refused() -> None:
    frame = pd.DataFrame(GIVEN["weak"])
    y = pd.Series(GIVEN["y"], index=np.arange(N)[::-1])
    with pytest.raises(w2s.InputError, match=r"index of y differs from that of weak"):
        data(weak=frame, y=y)
    assert_array_equal(data(weak=frame, y=y.sort_index()).y, GIVEN["y"][::-1])
    assert_array_equal(data(weak=GIVEN["weak"], y=y).y, GIVEN["y"])  # by position


def test_lengths_of_pandas_differ() -> None:
    with pytest.raises(w2s.InputError, match=r"y of shape \(39,\)"):
        data(weak=pd.DataFrame(GIVEN["weak"]), y=pd.Series(GIVEN["y"][1:]))


def test_sparse_features_are_refused_with_the_remedy() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(w2s.InputError, match="toarray"):
        data(weak=csr_array(GIVEN["weak"]))


def test_a_report_of_another_run_is_kept(tmp_path: Any) -> None:
    X = RNG.standard_normal((400, 4))
    split = np.where(np.arange(400) < 300, "train", "test")
    made = w2s.Data(weak=X, strong=X, y=np.arange(400) % 2, group=np.arange(400) // 2 % 2,
                    split=split)  # fmt: skip
    sizes = {"eta_l": 0.5, "eta_u": 0.5, "n_u": 80, "n_seeds": 2, "methods": ["teacher", "w2s"]}
    first = w2s.run(made, n_l=40, **sizes)
    path = w2s.report(first, tmp_path / "out")
    before = path.read_bytes()
    assert w2s.report(first, tmp_path / "out").read_bytes() == before
    with pytest.raises(w2s.InputError, match=r"another run \(n_l"):
        w2s.report(w2s.run(made, n_l=44, **sizes), tmp_path / "out")
    assert path.read_bytes() == before
