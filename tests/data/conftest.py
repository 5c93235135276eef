"""Tiny cut-outs and backgrounds as inputs of the compositor."""

from __future__ import annotations

import pytest

from w2s_groups.data.birds_mammals import BirdsMammals
from w2s_groups.data.compositing.dataset import Settings


@pytest.fixture
def settings() -> Settings:
    return BirdsMammals(
        name="tiny",
        n_pool=18,
        n_test=10,
        size=24,
        split_seed=0,
        test_fraction=0.4,
        crop=[0.6, 1.0],
        scale=[0.5, 0.8],
        quality=90,
    )
