"""(y, a) -> groups."""

import numpy as np
import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups

BIRDS = Groups(("mammal", "bird"), ("land", "water"))


def test_codes_and_names_follow_y_then_a() -> None:
    assert BIRDS.names == ("mammal-on-land", "mammal-on-water", "bird-on-land", "bird-on-water")
    assert BIRDS.codes([0, 0, 1, 1], [0, 1, 0, 1]).tolist() == [0, 1, 2, 3]
    assert BIRDS.class_of.tolist() == [0, 0, 1, 1]


def test_minority_defaults_to_a_unlike_y() -> None:
    assert BIRDS.is_minority.tolist() == [False, True, True, False]


def test_codes_do_not_depend_on_which_groups_are_present() -> None:
    assert BIRDS.codes([1], [1]).tolist() == [3]


def test_explicit_minority() -> None:
    celeba = Groups(("dark", "blond"), ("female", "male"), frozenset({(1, 1)}))
    assert celeba.is_minority.tolist() == [False, False, False, True]


def test_more_attributes_than_classes_need_an_explicit_minority() -> None:
    with pytest.raises(InputError, match="list the minority"):
        Groups(("x", "y"), ("p", "q", "r"))
    three = Groups(("x", "y"), ("p", "q", "r"), frozenset({(0, 2)}))
    assert three.n_groups == 6
    assert np.flatnonzero(three.is_minority).tolist() == [2]


@pytest.mark.parametrize(("y", "a", "named"), [([0, 2], [0, 0], "y=2"), ([0, 1], [0, -1], "a=-1")])
def test_values_outside_the_coding_name_field_and_row(
    y: list[int], a: list[int], named: str
) -> None:
    with pytest.raises(InputError, match=f"{named} in row 1"):
        BIRDS.codes(y, a)


def test_minority_pair_outside_the_coding() -> None:
    with pytest.raises(InputError, match="outside"):
        Groups(("x", "y"), ("p", "q"), frozenset({(2, 0)}))


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        Groups(("x",), ("p", "q"))


@pytest.mark.parametrize(
    "name", ["=HYPERLINK(1)", "+cmd", "-cmd|x!A0", "@x", "a\nb", "\tx", "x\x1b[31m"]
)
def test_a_name_that_a_spreadsheet_would_run_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="give other names in class_names"):
        Groups((name, "b"), ("c", "d"))
    with pytest.raises(InputError, match="give other names in attribute_names"):
        Groups(("a", "b"), ("c", name))


def test_negative_numbers_and_marks_within_are_names() -> None:
    names = ("-1", "+0.5", "a=b", "<=50K", 'say "a", b', "=".join("ab"))
    assert Groups(names, ("c", "d"), frozenset({(0, 1)})).class_names == names
