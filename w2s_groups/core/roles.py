"""What a field of a configuration decides, kept in the field's metadata, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import MISSING


class Role(Enum):
    """Why a field is there. IN_KEY and HIDDEN below say which of them a key or a report holds."""

    network = "network"
    """A network or several: every pair of teacher and student is run. In a cell's key by name."""
    grid = "grid"
    """Values that are crossed within a run: each combination is a cell, and in its key."""
    fit = "fit"
    """What is drawn and fitted in every cell: in its key, where a run depends on it."""
    features = "features"
    """The samples, and how networks read them: in a cell's key by the content of the features."""
    report = "report"
    """What a report is called, and what it chooses among stored cells."""
    prediction = "prediction"
    """What `predict` and `plan` ask for: part of their question and of no cell."""
    shorthand = "shorthand"
    """Stands for another field, and is None once the configuration is checked."""
    theory = "theory"
    """A figure of the theory, drawn in place of a run."""
    if_set = "if_set"
    """Asks for nothing where it is None: shown, and part of a question, only where it is set."""
    conduct = "conduct"
    """What happens when something is wrong: stop, leave it out, or go on. No number depends on it
    but by the samples that are left out, whose absence is in the key."""
    outputs = "outputs"
    """What is stored in addition to a cell's records: no number and no key depends on it."""
    machine = "machine"
    """How fast and where it is computed: no number depends on it beyond rounding."""
    place = "place"
    """A path: differs between machines."""


IN_KEY = frozenset({Role.network, Role.grid, Role.fit, Role.features})
CROSSED = frozenset({Role.network, Role.grid})
HIDDEN = frozenset(
    {Role.shorthand, Role.theory, Role.conduct, Role.outputs, Role.machine, Role.place}
)


def role(of: Role, default: Any = MISSING, **more: Any) -> Any:
    """A dataclass field of that role. unused: the value at which it asks for nothing, if any."""
    return field(default=default, metadata={"role": of, **more})


def names(config: Any, *roles: Role) -> list[str]:
    """Fields of a configuration, or of its class, that have one of the roles, in order.

    A field of a nested configuration without a role of its own has the role of what holds it.
    """
    return [f.name for f in fields(config) if f.metadata.get("role") in roles]


def plain(value: Any, without: frozenset[Role] = frozenset()) -> Any:
    """Dataclasses, enums and paths as what JSON can hold; fields of some roles left out.

    So are fields that matter only where they are set and are not, which older results lack.
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (f for f in fields(value) if f.metadata.get("role") not in without)
        return {
            f.name: plain(getattr(value, f.name), without)
            for f in shown
            if not _asks_nothing(f.metadata, getattr(value, f.name))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item, without) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, without) for item in value]
    return str(value) if isinstance(value, Path) else value


def _asks_nothing(metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether a field with that metadata is not set, or has the value of older results."""
    if metadata.get("role") is Role.if_set:
        return value is None
    return "unused" in metadata and bool(value == metadata["unused"])
