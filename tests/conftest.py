"""Fixtures that tests of several folders use."""

import os
from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
import torch
from tiny_pictures import write_background, write_cutout

from w2s_groups.interface import hydra_config
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


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Folders with five identities for each class and each attribute value."""
    folders: dict[str, dict[str, str]] = {"cutouts": {}, "backgrounds": {}}
    for k, (kind, names) in enumerate(
        (("cutouts", ("cat", "dog")), ("backgrounds", ("in", "out")))
    ):
        for j, name in enumerate(names):
            folder = tmp_path / "pictures" / kind / name
            folders[kind][name] = str(folder)
            for i in range(5):
                seed = 100 * k + 10 * j + i
                if kind == "cutouts":
                    write_cutout(folder / f"{name}{i}.png", seed)
                else:
                    write_background(folder / f"{name}{i}.png", seed)
    return folders
