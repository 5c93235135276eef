"""Test samples that are also in the pool, by content; the order that follows from content."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from w2s_groups.data.base import TextDataset
from w2s_groups.data.shared import sentences, shared_rows
from w2s_groups.design.groups import Groups
from w2s_groups.features.texts import contents

GROUPS = Groups(("n", "y"), ("off", "on"))


def texts(*rows: tuple[str, str, int, int, int]) -> TextDataset:
    first, second, y, a, split = zip(*rows, strict=True)
    names = tuple(f"line {k + 2}" for k in range(len(rows)))
    codes = (np.array(values) for values in (y, a, split))
    return TextDataset("t", *codes, GROUPS, files=names, texts=first, second=second)


ROWS = (
    ("b", "1", 0, 0, 0), ("a", "1", 1, 0, 1), ("b", "2", 0, 1, 2), ("b", "1", 1, 1, 2),
    ("a", "1", 1, 0, 2), ("c", "1", 0, 0, 2), ("b", "1", 0, 0, 0), (" ", "1", 0, 0, 0),
    (" ", "1", 0, 0, 2),
)  # fmt: skip


def test_a_pair_is_shared_where_both_of_its_texts_are() -> None:
    dataset = texts(*ROWS)
    test, twins = shared_rows(dataset.split, dataset.sort_keys)
    assert_array_equal(test, [3, 4, 8])
    assert_array_equal(twins, [0, 1, 7])
    known = [None if text.startswith("unreadable") else text for text in contents(dataset)]
    assert sentences(dataset, known) == (
        "2 of 4 test texts are also in the pool",
        "such as line 5 (line 2)",
    )
    assert sentences(dataset, list(map(str, range(len(ROWS))))) is None
    assert sentences(dataset, [None] * len(ROWS)) is None


def test_order_follows_from_texts_and_labels_and_not_from_lines() -> None:
    dataset = texts(*ROWS)
    shuffled = np.random.default_rng(0).permutation(len(ROWS))
    ordered, again = dataset.in_order(), dataset.at(shuffled).in_order()
    for one, other in ((ordered, again), (ordered, ordered.in_order())):
        assert (one.texts, one.second) == (other.texts, other.second)
        for name in ("y", "a", "split"):
            assert_array_equal(getattr(one, name), getattr(other, name))
    assert ordered.listed is not None
    assert again.listed is not None
    # `listed` is where a row stood: features in the list's own order are found by it.
    assert [dataset.texts[row] for row in ordered.listed] == list(ordered.texts)
    assert [dataset.texts[shuffled[row]] for row in again.listed] == list(again.texts)
