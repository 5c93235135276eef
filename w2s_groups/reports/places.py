"""Where a report goes: a folder belongs to one question and is never given to another.

The question is settings.json without the measured entries. The first report takes the plain name;
one of another question is named by the settings that differ, so that no report overwrites another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json, unwritable, write_atomic
from w2s_groups.reports import folderless
from w2s_groups.results import store
from w2s_groups.results.method_facts import method_order

SETTINGS = "settings.json"
# Results, not settings; of plug-ins, what they are and which code ran.
_ANSWERS = ("pair", "chosen", "failed", "unfinished", "target", "plugins", "submitted")
_LONGEST = 120  # bytes of a name, of 255 that systems allow
_FIGURE = re.compile(r"\]\((\w+)\.png\)$", re.MULTILINE)
_TABLES = (
    *("leaderboard.csv", "leaderboard.html", "leaderboard.md", "results.csv.gz", SETTINGS),
    *("identities.csv.gz", "outputs.csv.gz", "reliability.csv.gz"),
)
_SAMPLES = ("samples.png", "samples.txt", "samples_leaderboard.html")


def question(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The question of a report: its settings by dotted key, as JSON reads them again.

    A method's field that only repeats the setting of that name for all methods is left out.
    """
    asked = {key: value for key, value in settings.items() if key not in _ANSWERS}
    flat = _flat(json.loads(json.dumps(folderless.of(asked, folderless.names(asked)))))
    if "data.table" in flat:  # older reports have the whole path
        flat["data.table"] = without_folder(flat["data.table"])
    answered: dict[str, Any] = {"methods": list(method_order(settings.get("methods") or ()))}
    for key, value in flat.items():
        top, _, rest = key.partition(".")
        repeats = top == "methods" and flat.get(rest.rpartition(".")[2], flat) == value
        if not repeats:
            answered[key] = value
    return answered


def without_folder(path: Any) -> Any:
    """The name of a file with an absolute path, which differs between machines; else `path`."""
    return Path(path).name if isinstance(path, str) and Path(path).is_absolute() else path


def held(folder: Path) -> dict[str, Any] | None:
    """Settings of the report in a folder; None if there is none, {} if they cannot be read."""
    try:
        settings = read_json(folder / SETTINGS)
    except FileNotFoundError:
        return None
    except InputError:
        raise  # of another report, perhaps, which must not be replaced
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def place(
    parent: Path,
    name: str,
    settings: Mapping[str, Any],
    *,
    sweep: str = "",
    taken: Container[Path] = (),
    asked: Callable[[Mapping[str, Any]], dict[str, Any]] = question,
) -> tuple[Path, str]:
    """The folder of a report below `parent`, made and marked as its own; a sentence if not `name`.

    That of an earlier report of the same question, or of the same `sweep` when it was not finished;
    else parent/name where no report is, else one named by what differs from the report there.
    taken: folders that are not to be used again.
    """
    mine = asked(settings)
    reports = {path.parent: held(path.parent) for path in parent.glob(f"*/{SETTINGS}")}
    part = "unfinished" in settings  # no part of a report replaces the whole
    own = [
        folder
        for folder, there in reports.items()
        if folder not in taken
        and there
        and asked(there) == mine
        and (not part or "unfinished" in there)
    ]
    plain = parent / name
    for folder in (plain, *sorted(own)):
        there = reports.get(folder)
        of_sweep = sweep and there and folder not in taken and _of_sweep(there) == sweep
        if folder in own or of_sweep:
            write_atomic(folder / SETTINGS, as_json(settings))
            return folder, ""
    differs = apart(mine, asked(reports.get(plain) or {}))
    folder = _free(parent, name, differs, mine)
    write_atomic(folder / SETTINGS, as_json(settings))
    return folder, "" if folder == plain else _kept(plain, differs)


def _free(parent: Path, name: str, differs: Mapping[str, Any], mine: Mapping[str, Any]) -> Path:
    """The first folder without a report: `name`, or `name` with what differs or a digest."""
    digest = store.digest(mine)
    for candidate in (
        name,
        named(name, differs, mine),
        f"{name},{digest[:8]}",
        f"{name},{digest}",
    ):
        if _claimed(parent / candidate / SETTINGS):
            return parent / candidate
    raise AssertionError(f"{parent} holds another report under a full digest")


def _kept(plain: Path, differs: Mapping[str, Any]) -> str:
    """Why the report does not take the plain name."""
    keys = [key for key in differs if key != "asked"]
    which = ", ".join(keys[:4]) + (", ..." if len(differs) > len(keys[:4]) else "")
    why = f"its report has other settings ({which})" if differs else "its report is finished"
    return f"{plain}/ is kept: {why}"


def apart(mine: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a question whose values another does not have, in order; None: not asked.

    Fields of a method that only one of them has go without saying.
    """
    both = set(mine.get("methods") or ()) & set(other.get("methods") or ())
    return {
        key: mine.get(key)
        for key in dict.fromkeys([*mine, *other])
        if mine.get(key) != other.get(key)
        and (not key.startswith("methods.") or key.split(".")[1] in both)
    }


def named(name: str, differs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """`name,key=value,...`; a digest of the question where that would be cut or not be exact."""
    text, whole = name, True
    set_here = {key: value for key, value in differs.items() if value is not None}
    for key, value in (set_here or differs).items():
        top, _, rest = key.partition(".")
        short = {"methods": rest or top, "vary": key, "files": top}.get(top, key.rpartition(".")[2])
        values = value if isinstance(value, list) else ["none" if value is None else value]
        shown = "+".join(map(str, values))
        part = f",{shown}" if key == "asked" else f",{short}={shown}"
        safe = "".join(c if c.isalnum() or c in "+-_=.," else "_" for c in part)
        whole = whole and safe == part and len((text + safe).encode()) <= _LONGEST
        if len((text + safe).encode()) <= _LONGEST:
            text += safe
    return text if whole else f"{text},{store.digest(mine)[:8]}"


def figures(folder: Path) -> set[str]:
    """Names of the files of the figures that the report in a folder shows."""
    try:
        shown = _FIGURE.findall((folder / "leaderboard.md").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {f"{stem}.{kind}" for stem in shown for kind in ("png", "pdf")}


def clear_unfinished(parent: Path, sweep: str, kept: set[Path]) -> None:
    """Remove reports of a sweep that was not finished then and has other folders now.

    Only the files that a report makes go; a folder that holds others stays.
    """
    for path in parent.glob(f"*/{SETTINGS}"):
        folder = path.parent
        if folder not in kept and _of_sweep(held(folder) or {}) == sweep:
            for name in (*figures(folder), *_TABLES, *_SAMPLES):
                (folder / name).unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def as_json(settings: Mapping[str, Any]) -> bytes:
    """The text of settings.json."""
    return (json.dumps(settings, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _claimed(path: Path) -> bool:
    """Whether the file was not there and is now: of two runs at a time one gets the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise unwritable(path, error) from error
    return True


def _of_sweep(settings: Mapping[str, Any]) -> str:
    return str((settings.get("unfinished") or {}).get("sweep", ""))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat
