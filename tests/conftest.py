"""Fixtures that tests of several folders use."""

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir

from w2s_groups import config


@pytest.fixture(scope="session")
def load() -> Callable[..., config.Config]:
    """load(*overrides): the configuration that the command line would give, as objects."""

    def compose_and_check(*overrides: str) -> config.Config:
        config.register()
        with initialize_config_dir(str(config.conf_dir()), version_base="1.3"):
            return config.from_hydra(compose("config", list(overrides)))

    return compose_and_check
