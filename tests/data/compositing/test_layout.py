"""Which images are composed: shares, and identities that no two splits have."""

from __future__ import annotations

from collections import Counter

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.data.compositing.layout import layout, pool_and_test, shares, split_identities


def test_identities_are_used_equally_often_within_a_group() -> None:
    ids = {f"i{k}": 1 + k % 2 for k in range(7)}
    rows = layout({"p": ids, "q": ids}, {"u": ids, "v": ids}, pool_and_test(101, 37, 0.4, 4), 3)
    for split in (TRAIN, TEST):
        for y in (0, 1):
            for a in (0, 1):
                group = [row for row in rows if (row.split, row.y, row.a) == (split, y, a)]
                for part in ("cutout", "background"):
                    uses = Counter(getattr(row, part)[0] for row in group).values()
                    assert max(uses) - min(uses) <= 1
    assert {row.cutout for row in rows} == {(i, k) for i in ids for k in range(ids[i])}


def test_shares_and_identity_split() -> None:
    assert shares(10, 4) == [3, 3, 2, 2]
    names = [f"n{i}" for i in range(10)]
    pool, test = split_identities(names, [0.33], 0, "x")
    assert (len(pool), len(test)) == (7, 3)
    assert sorted(pool + test) == names
    assert split_identities(names, [0.33], 1, "x") != [pool, test]
    for fraction, n_test in ((0.01, 1), (0.99, 9)):
        assert len(split_identities(names, [fraction], 0, "x")[1]) == n_test
    with pytest.raises(InputError, match="2 or more"):
        split_identities(["n"], [0.5], 0, "cutouts bird")
