"""Options and overrides of the command line, checked before Hydra composes anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException

from w2s_groups.cli.errors import refuse_unknown
from w2s_groups.cli.help_pages import SWEPT
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.roles import CROSSED, names
from w2s_groups.interface.hydra_config import conf_dir
from w2s_groups.interface.refusals import missing_extra, sentence
from w2s_groups.methods import files
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import folder_name

_FOLDERS = ("experiment_name", "data.name")
_SINGLE = ("data", "finetune", "splits")  # groups of which a run has one
_MODES = ("run", "multirun", "cfg", "info", "shell_completion")  # of which Hydra takes one
_PARTS = (list, tuple)
_ONE = ("engine", "part")  # of a job, where those that Config lacks take lists


def check(arguments: Sequence[str], config_name: str = "config") -> argparse.Namespace:
    """Hydra's options, with `overrides` in the order in which they were given.

    Raises InputError for what cannot be meant: an option that is unknown, a name of no YAML file,
    several values without --multirun, a name that no folder can have, a line that cannot be read.

    arguments: the words after the command. Names are looked up on the whole search path: the
    package's conf/, --config-dir and hydra.searchpath.
    """
    options = _options(arguments)
    given = [_parsed(text) for text in options.overrides]
    asked = {override.key_or_group: override for override in given}
    if {"seeds", "n_seeds"} <= set(asked):
        raise InputError("seeds and n_seeds both say which seeds to run; give one of the two")
    sweeps = config_name in SWEPT
    mode = asked["hydra.mode"].value() if "hydra.mode" in asked else ""
    many = options.multirun or mode == "MULTIRUN"
    if many and not sweeps:
        raise InputError(f"{config_name} crosses lists of values itself; leave --multirun out")
    found = _Files(options, asked, config_name)
    for override in given:
        key, values = override.key_or_group, list(_values(override))
        _check_single(override, values)
        found.check(key, values)
        if key in _FOLDERS:
            for value in values:
                folder_name(key, value)
        if override.is_sweep_override() and not many:
            raise _several(override, key in found.groups, config_name)
    return options


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """What Hydra's own parser makes of the words, which may come in any order."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; `w2s-groups run --help` lists every option")

    parser.error = refuse  # type: ignore[method-assign]
    refuse_unknown(arguments, parser._option_string_actions)
    options, rest = parser.parse_known_args(list(arguments))
    for word in rest:
        if word.startswith("-"):
            refuse(f"option {word!r} is unknown")
    options.overrides = [*options.overrides, *rest]
    modes = [f"--{mode.replace('_', '-')}" for mode in _MODES if getattr(options, mode)]
    if len(modes) > 1:
        raise InputError(f"{' and '.join(modes)} do not go together; give one of them")
    if options.resolve and not options.cfg:
        raise InputError("--resolve is for --cfg; give --cfg job --resolve")
    if options.experimental_rerun:
        raise InputError(
            "--experimental-rerun is not supported; run the same command again: what is stored is "
            "not computed twice"
        )
    return options


class _Files:
    """The YAML files of each group, on the search path that a command line asks for."""

    def __init__(
        self, options: argparse.Namespace, asked: Mapping[str, Override], config_name: str
    ) -> None:
        """Raises InputError where a folder of the search path is not there."""
        self.name = str(options.config_name or config_name).removesuffix(".yaml")
        self.path: list[str] = []
        if "hydra.searchpath" in asked:
            override = asked["hydra.searchpath"]
            self.path = [str(override.input_line)]
            for place in _values(override):
                folder = str(place).removeprefix("file://")
                if "://" not in folder and not Path(folder).is_dir():
                    raise InputError(
                        f"hydra.searchpath: {folder} is not a directory; name one that exists"
                    )
        self.loader = loader_of(options.config_path, options.config_dir)
        if options.config_name and self.name not in self.known(""):
            raise unknown_name("--config-name", self.name, self.known(""))
        self.groups = {g for g in self.loader.list_groups("") if g not in ("hydra", "schema")}

    def known(self, group: str) -> set[str]:
        """Names of the files of a group."""
        try:
            return set(
                self.loader.get_group_options(group, config_name=self.name, overrides=self.path)
            )
        except HydraException as error:  # a search path that is not there: Hydra's own words
            raise InputError(sentence(error)) from error

    def check(self, group: str, values: Sequence[Any]) -> None:
        """Every value must be a file of the group, or of a folder below it, if it is a group."""
        if group not in self.groups and not ("/" in group and self.known(group)):
            return
        for value in values:
            if value is None:
                raise InputError(f"{group}=null names no file; leave {group}= out, or name one")
            if group == "methods" and str(value).startswith(files.PREFIX):
                files.load(str(value))
                continue
            below, _, name = str(value).removesuffix(".yaml").rpartition("/")
            options = self.known(f"{group}/{below}" if below else group)
            if name not in options:
                prefix = f"{below}/" if below else ""
                known = {prefix + option for option in options}
                raise missing_extra(group, name) or unknown_name(group, str(value), known)


def _check_single(override: Override, values: Sequence[Any]) -> None:
    key = override.key_or_group
    if key in _SINGLE and len(values) > 1 and not override.is_sweep_override():
        raise InputError(
            f"{override.input_line}: {key} takes one name; for a job each give "
            f"--multirun {key}={','.join(map(str, values))}"
        )


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


def loader_of(config_path: str | None, config_dir: str | None) -> ConfigLoaderImpl:
    """Hydra's own loader, with the search path that the command line asks for."""
    search = create_config_search_path(str(Path(config_path or conf_dir()).absolute()))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise InputError(
                f"--config-dir={config_dir} is not a directory; name one with YAML files"
            )
        path = f"file://{Path(config_dir).absolute()}"
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


def _several(override: Override, is_group: bool, config_name: str) -> InputError:
    """Error for several values in one run, with the ways that the command has to give them."""
    text, key = str(override.input_line), override.key_or_group
    value = text.partition("=")[2]
    in_one_job = {f.name for f in fields(Config) if f.type == "Any"} | {"methods"}
    takes_list = "." in key or key not in {f.name for f in fields(Config)} or key in in_one_job
    if (config_name == "plan" and key in names(Config, *CROSSED)) or key in _ONE:
        takes_list = False
    also = ""
    if takes_list and not is_group and isinstance(override.value(), ChoiceSweep):
        also = f", or write {key}=[{value}] for all of them in one job"
    elif key == "methods":
        also = ", or write methods=[...] once for all of them in one job"
    if config_name not in SWEPT:
        return InputError(f"{text} names several values{also or ': name one'}".replace(", or", ":"))
    return InputError(f"{text} names several values: add --multirun for a job each{also}")


def changed(asked: Sequence[str], prefix: str) -> dict[str, Any]:
    """The values that overrides give to the keys below a prefix."""
    found = {override.key_or_group: list(_values(override)) for override in map(_parsed, asked)}
    return {key: found[key] for key in sorted(found) if key.startswith(prefix)}


def check_networks(asked: Sequence[str], cfg: Config) -> None:
    """InputError where other networks are asked for by name than those that the data bring."""
    own: Sequence[str] = getattr(cfg.data, "networks", ())
    for override in map(_parsed, asked) if own else ():
        side = override.key_or_group
        if side in ("teacher", "student"):
            name = own[side == "student"]
            if list(_values(override)) != [name]:
                raise InputError(
                    f"{override.input_line}: data={cfg.data.name} is made of features already, "
                    f"{own[0]} and {own[1]}; leave out {side}=, or name {side}={name}"
                )
