"""From Python values to a checked configuration: the same YAML files as the command line's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import DatasetConfig
from w2s_groups.interface import hydra_config, refusals, values
from w2s_groups.schema.config import Config

# Keys that name a file of conf/; below them are the keys of that file.
_FILES = ("data", "methods", "trials", "splits", "finetune", "experiment")
_OPEN = ("vary", "trials", "options")  # dicts that take new keys


def configuration(
    settings: Mapping[str, Any], data: DatasetConfig | None = None, command: str = "config"
) -> Config:
    """The configuration of a command with other settings than its defaults.

    settings: keys of the command line, dotted or as nested dicts, with Python values; None stands
    for null. data: in place of data by name. command: its file in conf/. Composes without Hydra's
    global state, so that a program that uses Hydra itself may call it. Raises InputError.
    """
    hydra_config.register()
    plain = {key: values.setting(value, key) for key, value in settings.items()}
    if {"seeds", "n_seeds"} <= set(plain):
        raise InputError("seeds and n_seeds both say which seeds to run; give one of the two")
    loader = ConfigLoaderImpl(create_config_search_path(str(hydra_config.conf_dir())))
    files = {key: value for key, value in plain.items() if _is_file(key, value)}
    chosen = [f"{key}={_names(key, value, loader)}" for key, value in files.items()]
    found = composed(loader, command, chosen)
    try:
        for key, value in _flat(plain):
            OmegaConf.update(found, key, value, force_add=key.partition(".")[0] in _OPEN)
    except OmegaConfBaseException as error:
        raise InputError(refusals.sentence(error)) from error
    return hydra_config.from_hydra(found, data)


def composed(loader: ConfigLoaderImpl, command: str, overrides: Sequence[str]) -> DictConfig:
    """A command's file with overrides, composed; InputError for what Hydra refuses."""
    try:
        composed = loader.load_configuration(command, list(overrides), RunMode.RUN)
    except (CompactHydraException, OmegaConfBaseException) as error:
        raise InputError(refusals.sentence(error)) from error
    if composed.hydra.mode == RunMode.MULTIRUN:
        raise InputError(
            "experiment is a sweep of several runs; start it as a command, w2s-groups, and read "
            "its report with w2s.read"
        )
    with open_dict(composed):
        del composed["hydra"]
    return composed


def _is_file(key: str, value: Any) -> bool:
    return key in _FILES and isinstance(value, str | list)


def _names(key: str, value: str | Sequence[Any], loader: ConfigLoaderImpl) -> str:
    """One name or several, as Hydra reads them; InputError for what is the name of no file."""
    names, known = [value] if isinstance(value, str) else value, loader.get_group_options(key)
    for name in names:
        if name not in known:
            raise unknown_name(key, str(name), known)
    return value if isinstance(value, str) else f"[{','.join(names)}]"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of each setting, those of nested dicts included."""
    for key, value in settings.items():
        if not prefix and _is_file(key, value):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
