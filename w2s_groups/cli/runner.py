"""From the words of a command line to one job, or to the jobs of a sweep, by way of Hydra."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stderr
from typing import Any

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.cli import overrides
from w2s_groups.cli.errors import fail
from w2s_groups.cli.threads import limit_threads
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import sweep
from w2s_groups.interface import hydra_config, refusals
from w2s_groups.schema.config import Config

log = logging.getLogger("w2s_groups")


def start(config_name: str, job: Callable[[DictConfig], Any], words: Sequence[str]) -> None:
    """Compose conf/<config_name>.yaml with the overrides and options of a command line, run job.

    Raises InputError for what the user has to change, Hydra's own refusals included. Exits with
    status 1 where cells failed.
    """
    hydra_config.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what `refusals` makes a sentence of
    options = overrides.check(words, config_name)
    version.setbase("1.3")
    said = io.StringIO()  # Hydra's line about a wrong --package
    try:
        with redirect_stderr(said) if options.package else nullcontext():
            _run_hydra(options, get_args_parser(), job, str(hydra_config.conf_dir()), config_name)
    except SystemExit as end:
        if options.package and end.code:
            raise InputError(
                f"--package={options.package} is not in the configuration; name a key such as data"
            ) from end
        raise
    except KeyboardInterrupt:
        sweep.finish_stopped()
        raise
    except (CompactHydraException, OmegaConfBaseException) as error:
        raise InputError(refusals.sentence(error)) from error
    except Exception as error:  # of a launcher: a job's own end in a row of the sweep
        if options.shell_completion:
            raise InputError(f"--shell-completion: {' '.join(str(error).split())}") from error
        if isinstance(error, InputError) or not sweep.current():
            raise
        raise InputError(sweep.finish_broken(error)) from error


def job_of(body: Callable[[Any], None]) -> Callable[[DictConfig], None]:
    """A job, as `start` takes one, of a command that has no sweeps."""

    def job(composed: DictConfig) -> None:
        prepare()
        try:
            body(configuration(composed))
        except InputError as mistake:
            fail(str(mistake))

    return job


def prepare() -> None:
    """Log to stderr, and stay in the folder where the command was given.

    With hydra.job.chdir=true too, paths such as results_dir and data.root mean what they mean to
    the user and to the other jobs.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    settings = HydraConfig.get()
    if settings.job.chdir:
        os.chdir(settings.runtime.cwd)


def configuration(composed: DictConfig) -> Config:
    """The configuration as objects, with this job's threads; InputError for what means little."""
    cfg = hydra_config.from_hydra(composed)
    overrides.check_networks(HydraConfig.get().overrides.task, cfg)
    n = composed.seeds
    if isinstance(n, int) and n > 0 and not sweep.current():
        log.info(
            "seeds=%d is one seed, number %d; n_seeds=%d stands for %d seeds, from 0", n, n, n, n
        )
    limit_threads(cfg)
    return cfg
