"""Fixtures that tests of several folders use."""

import os
from collections.abc import Callable

import hydra
import pytest
import torch

from w2s_groups.cli import hydra_config
from w2s_groups.schema import config

# Tests run side by side, one on each core: two threads each would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def load() -> Callable[..., config.Config]:
    """load(*overrides): the configuration that the command line would give, as objects.

    of: the command's file in conf/, where it is not the benchmark's own.
    """

    def compose_and_check(*overrides: str, of: str = "config") -> config.Config:
        hydra_config.register()
        with hydra.initialize_config_dir(str(hydra_config.conf_dir()), version_base="1.3"):
            return hydra_config.from_hydra(hydra.compose(of, list(overrides)))

    return compose_and_check
