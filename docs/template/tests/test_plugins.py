"""The contracts of w2s_groups, on everything that this package brings."""

import pytest
from w2s_example.networks import get
from w2s_example.sharpened import sharpened
from w2s_example.two_moons import TwoMoons

from w2s_groups import testing
from w2s_groups.core.errors import InputError


def test_the_method() -> None:
    testing.check_method(sharpened)


def test_the_dataset() -> None:
    testing.check_dataset(TwoMoons(name="two_moons"))


def test_the_network() -> None:
    testing.check_backbone(get("grey-8", None, None))


def test_another_network_is_refused() -> None:
    with pytest.raises(InputError, match="grey-1"):
        get("colour-8", None, None)
