"""Overrides of the command line: checked before Hydra composes; its refusals as a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)

from w2s_groups.cli.hydra_config import conf_dir
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import folder_name

_FOLDERS = ("experiment_name", "data.name")
_SINGLE = ("data", "finetune")  # groups of which a run has one
_PARTS = (list, tuple)


def check(arguments: Sequence[str], config_name: str = "config") -> None:
    """InputError for an override that cannot be meant: a name of no YAML file, several values
    without --multirun, a name that no folder can have, a line that cannot be read.

    arguments: sys.argv[1:]. Names are looked up on the whole search path: the package's conf/,
    --config-dir and hydra.searchpath.
    """
    options, extra = get_args_parser().parse_known_args(list(arguments))
    found = [_parsed(text) for text in [*options.overrides, *extra] if not text.startswith("--")]
    asked = {override.key_or_group: override for override in found}
    if {"seeds", "n_seeds"} <= set(asked):
        raise InputError("seeds and n_seeds both say which seeds to run; give one of the two")
    mode = asked["hydra.mode"].value() if "hydra.mode" in asked else ""
    many = options.multirun or mode == "MULTIRUN"
    loader = _loader(options.config_path, options.config_dir)
    path = [o.input_line for o in found if o.key_or_group == "hydra.searchpath" and o.input_line]
    name = options.config_name or config_name
    for place in _values(asked["hydra.searchpath"]) if "hydra.searchpath" in asked else ():
        folder = str(place).removeprefix("file://")
        if "://" not in folder and not os.path.isdir(folder):
            raise InputError(f"hydra.searchpath: {folder} is not a folder; name one that is there")
    groups = {group for group in loader.list_groups("") if group not in ("hydra", "schema")}

    def known(group: str) -> set[str]:
        try:
            return set(loader.get_group_options(group, config_name=name, overrides=path))
        except HydraException as error:  # a search path that is not there: Hydra's own words
            raise InputError(sentence(error)) from error

    for override in found:
        key, values = override.key_or_group, list(_values(override))
        if key in _SINGLE and len(values) > 1 and not override.is_sweep_override():
            raise InputError(
                f"{override.input_line}: {key} takes one name; for a job each give "
                f"--multirun {key}={','.join(map(str, values))}"
            )
        if key in groups or ("/" in key and known(key)):
            _check_options(key, values, known)
        if key in _FOLDERS:
            for value in values:
                folder_name(key, value)
        if override.is_sweep_override() and not many:
            raise _several(override, key in groups, config_name == "config")


def _parsed(text: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        first = str(error).splitlines()[0].partition(" expecting ")[0]
        raise InputError(
            f"{text!r} cannot be read as key=value ({first}); write key=value, close every bracket "
            "and quote the whole for the shell"
        ) from error
    if not override.key_or_group:
        raise InputError(f"{text!r} names no key; write key=value")
    return override


def _loader(config_path: str | None, config_dir: str | None) -> ConfigLoaderImpl:
    """Hydra's own loader, with the search path that the command line asks for."""
    search = create_config_search_path(os.path.abspath(config_path or conf_dir()))
    if config_dir is not None:
        if not os.path.isdir(config_dir):
            raise InputError(f"--config-dir={config_dir} is not a folder; name one with YAML files")
        path = f"file://{os.path.abspath(config_dir)}"
        search.prepend("command-line", path, SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(search)


def _values(override: Override) -> Iterator[Any]:
    """Each single value of an override, of lists and of sweeps over lists too."""
    if override.is_delete():
        return
    value = override.value()
    if isinstance(value, ChoiceSweep):
        value = value.list
    elif override.is_sweep_override():
        return  # a range or a pattern, which Hydra resolves
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, _PARTS):
            waiting = [*one, *waiting]
        elif not isinstance(one, Mapping):
            yield getattr(one, "text", one)  # of a quoted string, without its quotes


def _check_options(group: str, values: Sequence[Any], known: Any) -> None:
    """Every value must be a YAML file of the group, or of a folder below it."""
    for value in values:
        if value is None:
            raise InputError(f"{group}=null names no file; leave {group}= out, or name one")
        below, _, name = str(value).removesuffix(".yaml").rpartition("/")
        options = known(f"{group}/{below}" if below else group)
        if name not in options:
            prefix = f"{below}/" if below else ""
            raise unknown_name(group, str(value), {prefix + option for option in options})


def _several(override: Override, is_group: bool, sweeps: bool) -> InputError:
    """Error for several values in one run; sweeps: whether the command takes --multirun."""
    text, key = str(override.input_line), override.key_or_group
    value = text.partition("=")[2]
    in_one_job = {f.name for f in fields(Config) if f.type == "Any"} | {"methods"}
    takes_list = "." in key or key not in {f.name for f in fields(Config)} or key in in_one_job
    also = ""
    if takes_list and not is_group and isinstance(override.value(), ChoiceSweep):
        also = f", or write {key}=[{value}] for all of them in one job"
    elif key == "methods":
        also = ", or write methods=[...] once for all of them in one job"
    if not sweeps:
        return InputError(f"{text} names several values{also or ': name one'}".replace(", or", ":"))
    return InputError(f"{text} names several values: add --multirun for a job each{also}")


def changed(asked: Sequence[str], prefix: str) -> dict[str, Any]:
    """The values that overrides give to the keys below a prefix."""
    found = {override.key_or_group: list(_values(override)) for override in map(_parsed, asked)}
    return {key: found[key] for key in sorted(found) if key.startswith(prefix)}


def check_networks(asked: Sequence[str], cfg: Config) -> None:
    """InputError where other networks are asked for by name than those that the data bring."""
    own: Sequence[str] = getattr(cfg.data, "NETWORKS", ())
    for override in map(_parsed, asked) if own else ():
        side = override.key_or_group
        if side in ("teacher", "student"):
            name = own[side == "student"]
            if list(_values(override)) != [name]:
                raise InputError(
                    f"{override.input_line}: data={cfg.data.name} is made of features already, "
                    f"{own[0]} and {own[1]}; leave out {side}=, or name {side}={name}"
                )


def sentence(error: BaseException) -> str:
    """What Hydra or OmegaConf refused, as one line: field, value, rule, remedy."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return str(unknown_name(group, name, error.options))
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key:
        return _unknown_key(str(error), cause)
    if isinstance(cause, ValidationError) and cause.full_key and cause.object_type is not None:
        return _wrong_value(cause)
    return " ".join(f"{error} {error.__cause__ or ''}".split())


def _unknown_key(text: str, cause: OmegaConfBaseException) -> str:
    prefix, _, name = str(cause.full_key).rpartition(".")
    if prefix == "vary" or cause.full_key == "vary":
        new = text.rpartition(" use ")[2].strip()
        return f"vary has no {name} yet; put a plus before it: {new}"
    parent = cause.parent_node
    known = [str(key) for key in parent] if parent is not None else []
    dotted = f"{prefix}." if prefix else ""
    also = f"; add {name} to methods=[...] to set it" if prefix == "methods" else ""
    return f"{unknown_name('key', dotted + name, {dotted + key for key in known})}{also}"


def _wrong_value(cause: ValidationError) -> str:
    key, value = str(cause.full_key), cause.value
    try:
        kind = get_type_hints(cause.object_type)[str(cause.key)]
    except (KeyError, TypeError, NameError):
        return f"{key}={value}: {str(cause).splitlines()[0]}"
    optional = get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)
    if optional:
        (kind, *_) = [part for part in get_args(kind) if part is not type(None)]
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, str):
        return str(unknown_name(key, value, kind.__members__))
    rule = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(kind)
    if rule is None and isinstance(kind, type) and issubclass(kind, Enum):
        rule = f"one of {', '.join(kind.__members__)}"
    null = ", or null" if optional else ""
    if isinstance(value, _PARTS):
        each = ",".join(str(one) for one in value)
        return (
            f"{key}={list(value)} must be one value, {rule or 'no list'}{null}; for several give "
            f"one at a time, or sweep over them: --multirun {key}={each}"
        )
    shown = "null" if value is None else value
    return f"{key}={shown} must be {rule or 'of another type'}{null}; change {key}"
