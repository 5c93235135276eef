"""Labels that the upper references and the tuned teacher use, as the report shows them."""

import pytest

from w2s_groups.methods import METHODS
from w2s_groups.reports.methods_table import methods_table
from w2s_groups.results.method_facts import REFERENCES, method_order

TUNED = "l2, by cross-validation on the labelled set"
# true labels of the unlabelled set, groups, ridge heads too, what is tuned
USES = {
    "tuned_teacher": (False, "none", False, TUNED),
    "w2s_tuned": (False, "none", False, ""),
    "adaptive_confidence": (False, "none", False, ""),
    "jtt": (False, "none", False, ""),
    "afr": (False, "none", False, ""),
    "dfr": (True, "train", True, ""),
    "group_dro": (True, "train", False, ""),
}


@pytest.mark.parametrize("name", list(USES))
def test_labels_that_a_method_uses(name: str) -> None:
    kind = METHODS[name]
    assert (
        kind.needs_truth,
        kind.needs_groups,
        "ridge" not in kind.unsupported,
        kind.tunes,
    ) == USES[name]


def test_only_references_read_true_labels_of_the_unlabelled_set() -> None:
    readers = {name for name, kind in METHODS.items() if kind.needs_truth}
    assert readers == {"dfr", "group_dro", "ceiling"}
    assert readers < set(REFERENCES)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    kind = METHODS[name]
    assert 20 < len(kind.summary) < 90
    assert kind.sources
    assert all(kind.sources)
    assert set(kind.unsupported) <= {"ridge", "mlp", "finetune", "regression"}
    assert all(kind.unsupported.values())


def test_references_stand_last_and_tuned_ones_beside_their_like() -> None:
    assert method_order(METHODS)[:4] == ("teacher", "tuned_teacher", "w2s", "w2s_tuned")
    assert method_order(METHODS)[-4:] == ("baseline", "dfr", "group_dro", "ceiling")


def test_the_report_says_who_read_true_labels_and_what_was_fixed() -> None:
    methods = {
        "tuned_teacher": {"l2": 1e-3, "l2_path": [1e-2, 1.0], "folds": 5},
        "w2s": {"l2": 1e-3},
        "dfr": {"l2": 1e-3},
        "ceiling": {"l2": 1e-3},
    }
    (section,) = methods_table({"methods": methods})
    rows = {row[0]: row[2:-1] for row in section.rows}
    assert rows == {
        "tuned_teacher": (
            "none", "the labelled set's", "2", "l2_path = [0.01, 1.0], folds = 5", TUNED, "–",
        ),
        "W2S": ("none", "the labelled set's", "1", "l2 = 0.001", "nothing", "–"),
        "dfr": (
            "train", "the unlabelled set's", "1", "l2 = 0.001", "nothing",
            METHODS["dfr"].paper_tunes,
        ),
        "ceiling": ("none", "the unlabelled set's", "1", "l2 = 0.001", "nothing", "–"),
    }  # fmt: skip
    assert {row[0]: row[-1] for row in section.rows}["dfr"] == METHODS["dfr"].sources[0]
    assert "True labels of the unlabelled set are read only by dfr, ceiling." in section.text[0]
    (without,) = methods_table({"methods": {"w2s": {"l2": 1e-3}}})
    assert "True labels" not in without.text[0]
