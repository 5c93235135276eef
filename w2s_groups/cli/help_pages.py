"""Help of the command line: the list of commands, and a page for those that conf/ configures.

Everything is read from the table of commands and the lines of conf/*.yaml, so that a page takes a
tenth of a second: no library is imported.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2s_groups.core.files import shipped
from w2s_groups.core.plugins import offered, package

WIDTH = 80
_SHARED = ("data", "experiment", "methods", "finetune", "trials")
_OF_RUNS = ("splits", "suite", "hydra/launcher", "hydra/callbacks")
_GROUPS = (*_SHARED, *_OF_RUNS)
SWEPT = ("config", "draws", "features")  # files of conf/ whose commands take --multirun
_LINE = re.compile(
    r"(?P<indent> *)(?P<key>[^\s#:-][^:#]*):(?: (?P<value>.*?))?(?:\s*# (?P<note>.*))?"
)
_CHOICE = re.compile(r"  - (?:override )?(?P<key>\w+): (?P<value>[^#]*?)\s*(?:# .*)?")
_OPTIONS = {
    "--multirun, -m": "a job for each combination of values, as in n_l=150,300 l2=1e-3,1e-2",
    "--cfg job": "print the composed configuration as YAML; run nothing",
    "--config-dir DIR": "search DIR/data, DIR/experiment, ... for YAML files of your own too",
    "--help, -h": "this page; with data=NAME or experiment=NAME, the keys of that file too",
}


@dataclass(frozen=True)
class Command:
    """A command: a module of this folder that has its name.

    summary: one line. keys: the keys or options that people set most. stopped: what Ctrl-C leaves
    and how to go on. config: the YAML file in conf/ that configures it; "" for a command with
    options of its own. examples: what stands after `w2s-groups <name>`, for a configured command.
    word: a word that follows its name.
    """

    summary: str
    keys: str
    stopped: str
    config: str = ""
    examples: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True)
class Key:
    """A line of a YAML file: key, default value as it is written there, comment on it."""

    name: str
    value: str
    note: str


def overview(commands: Mapping[str, Command]) -> str:
    """The page of `w2s-groups --help`: each command in a line, and the keys people set."""
    rows = []
    for name, command in commands.items():
        rows += [*_columns(f"  {name}", command.summary, 11), *_columns("", command.keys, 11)]
    return "\n".join(
        [
            "usage: w2s-groups COMMAND ...",
            "       w2s-groups KEY=VALUE ...   the same as: w2s-groups run KEY=VALUE ...",
            "",
            "Weak-to-strong generalisation under group imbalance: a benchmark, predictions",
            "before training, and exact theory.",
            "",
            "commands, each with the keys and options that people set most:",
            *rows,
            "",
            "`w2s-groups COMMAND --help` lists everything that a command takes;",
            "`w2s-groups --version` prints the version.",
        ]
    )


def page(name: str, command: Command, words: Sequence[str]) -> str:
    """The page of a configured command; for each group=NAME in words, the keys of that file too."""
    runs, sweeps = command.config == "config", command.config in SWEPT
    options = [o for o in _OPTIONS if sweeps or not o.startswith("--multirun")]
    own = _keys(_conf(f"{command.config}.yaml"))
    shared = [] if runs else _keys(_conf("config.yaml"))
    names = {key.name for key in own}
    called = f"{name} {command.word}".strip()
    sections = {
        f"usage: w2s-groups {called} {'[--multirun] ' if sweeps else ''}[KEY=VALUE ...]": [
            "",
            *textwrap.wrap(f"{command.summary[0].upper()}{command.summary[1:]}.", WIDTH),
        ],
        "examples:": [f"  w2s-groups {name} {example}" for example in command.examples],
        "files of conf/ to choose, GROUP=NAME; each has keys of its own:": _choices(
            command, sweeps
        ),
        "plug-ins of installed packages:": _plugins(),
        "keys and their defaults:": _described(own),
        "keys that `w2s-groups run` has too:": _described(k for k in shared if k.name not in names),
        **_of_files(words),
        "options:": [line for o in options for line in _columns(f"  {o}", _OPTIONS[o])],
    }
    filled = ((title, lines) for title, lines in sections.items() if lines)
    return "\n\n".join("\n".join([title, *lines]) for title, lines in filled)


def spellings() -> dict[str, str]:
    """Word -> how it is written on the command line: keys, and files of data and experiments."""
    found = {key.name: f"{key.name}=..." for key in _keys(_conf("config.yaml"))}
    plugins = {name: f"data={name}" for name in offered("w2s_groups.datasets")}
    named = {n: f"{group}={n}" for group in ("data", "experiment") for n in _files(group)}
    return found | plugins | named


def _plugins() -> list[str]:
    """A row for each plug-in: how it is named, and its package; none of them is imported."""
    forms = {"methods": "methods=[..., {}]", "datasets": "data={}", "backbones": "teacher={}/NAME"}
    return [
        line
        for kind, form in forms.items()
        for name, points in offered(f"w2s_groups.{kind}").items()
        for line in _columns(f"  {form.format(name)}", " and ".join(map(package, points)))
    ]


def _conf(name: str) -> Path:
    return shipped("conf", "conf") / name


def _files(group: str) -> list[str]:
    return sorted(path.stem for path in _conf(group).glob("*.yaml"))


def _keys(path: Path, prefix: str = "") -> list[Key]:
    """The keys of a YAML file, those of a mapping over several lines as mapping.key."""
    found: list[Key] = []
    parent = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        if not match["indent"]:
            parent = match["key"]
        if parent in ("defaults", "hydra") or match["value"] is None:
            continue
        name = f"{parent}.{match['key']}" if match["indent"] else match["key"]
        found.append(Key(prefix + name, match["value"], match["note"] or ""))
    return found


def _choices(command: Command, sweeps: bool) -> list[str]:
    """A row for each group: the names of its files, and which one is the default."""
    default = {}
    for name in ("config", command.config):
        for line in _conf(f"{name}.yaml").read_text(encoding="utf-8").splitlines():
            if match := _CHOICE.fullmatch(line):
                default[match["key"]] = match["value"]
    rows = []
    for group in (*_SHARED, *(_OF_RUNS if sweeps else ())):
        text = ", ".join(_files(group))
        if group in default:
            text += f" (default: {default[group]})"
        rows += _columns(f"  {group}=", text)
    return rows


def _of_files(words: Sequence[str]) -> dict[str, list[str]]:
    """Title -> rows for the file of each group=NAME in words, [A, B] included."""
    sections = {}
    for group, _, value in (word.partition("=") for word in words):
        for name in re.findall(r"\w+", value) if group in _GROUPS else ():
            path = _conf(f"{group}/{name}.yaml")
            if path.is_file():
                first = path.read_text(encoding="utf-8").partition("\n")[0]
                package = first.removeprefix("# @package ") if "@package" in first else group
                prefix = "" if package == "_global_" else f"{package}."
                sections[f"keys of {group}={name}:"] = _described(_keys(path, prefix))
    return sections


def _described(keys: Iterable[Key]) -> list[str]:
    return [line for key in keys for line in _columns(f"  {key.name}={key.value}", key.note)]


def _columns(left: str, right: str, at: int = 28) -> list[str]:
    """`left`, and `right` from column `at` on, wrapped at WIDTH; on lines of its own below a long
    `left`."""
    if len(left) > at - 2 or not right:
        lines = textwrap.wrap(left, WIDTH, subsequent_indent="    ")
        return lines + (_columns("", right, at) if right else [])
    indent = " " * at
    lines = textwrap.wrap(right, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return [left.ljust(at) + lines[0][at:], *lines[1:]]
