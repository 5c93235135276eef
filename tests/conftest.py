"""Fixtures that tests of several folders use."""

from collections.abc import Callable

import hydra
import pytest

from w2s_groups import compose, config


@pytest.fixture(scope="session")
def load() -> Callable[..., config.Config]:
    """load(*overrides): the configuration that the command line would give, as objects.

    of: the command's file in conf/, where it is not the benchmark's own.
    """

    def compose_and_check(*overrides: str, of: str = "config") -> config.Config:
        compose.register()
        with hydra.initialize_config_dir(str(compose.conf_dir()), version_base="1.3"):
            return compose.from_hydra(hydra.compose(of, list(overrides)))

    return compose_and_check
