"""What the tests of a plug-in call: each check raises AssertionError with one sentence."""

from w2s_groups.testing.backbones import check_backbone
from w2s_groups.testing.datasets import check_dataset
from w2s_groups.testing.methods import check_method

__all__ = ["check_backbone", "check_dataset", "check_method"]
