"""(y, a) -> named groups, and which of them are minority: the one place where group names exist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.spreadsheet import is_formula


@dataclass(frozen=True)
class Groups:
    """The groups of a dataset: every pair of a class y and an attribute value a.

    Group code = y * n_attributes + a, for the whole dataset and never per split, so that an absent
    group keeps its code. `minority` holds the (y, a) pairs against the spurious correlation; empty
    means the default a != y, which needs as many attribute values as classes.
    """

    class_names: tuple[str, ...]
    attribute_names: tuple[str, ...]
    minority: frozenset[tuple[int, int]] = frozenset()

    def __post_init__(self) -> None:
        if len(self.class_names) < 2 or len(self.attribute_names) < 2:
            raise InputError("groups need at least two classes and two attribute values")
        for field in ("class_names", "attribute_names"):
            for name in getattr(self, field):
                _check_name(field, name)
        if not self.minority:
            if len(self.class_names) != len(self.attribute_names):
                raise InputError(
                    f"minority cannot default to a != y with {len(self.class_names)} classes and "
                    f"{len(self.attribute_names)} attribute values; list the minority (y, a) pairs"
                )
            pairs = {
                (y, a)
                for y in range(len(self.class_names))
                for a in range(len(self.attribute_names))
                if a != y
            }
            object.__setattr__(self, "minority", frozenset(pairs))
        for y, a in self.minority:
            if not (0 <= y < len(self.class_names) and 0 <= a < len(self.attribute_names)):
                raise InputError(f"minority pair (y={y}, a={a}) is outside the dataset's coding")

    @property
    def n_groups(self) -> int:
        return len(self.class_names) * len(self.attribute_names)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each group code, such as "bird-on-water"."""
        return tuple(f"{y}-on-{a}" for y in self.class_names for a in self.attribute_names)

    @property
    def is_minority(self) -> NDArray[np.bool_]:
        """(n_groups,) mask over group codes."""
        mask = np.zeros((len(self.class_names), len(self.attribute_names)), dtype=bool)
        y, a = zip(*self.minority, strict=True)
        mask[y, a] = True
        return mask.ravel()

    @property
    def class_of(self) -> NDArray[np.int64]:
        """(n_groups,) class of each group code."""
        return np.repeat(np.arange(len(self.class_names)), len(self.attribute_names))

    def codes(self, y: ArrayLike, a: ArrayLike) -> NDArray[np.int64]:
        """(n,) group codes of labels y and attributes a, checked against the coding."""
        y_array, a_array = np.asarray(y, dtype=np.int64), np.asarray(a, dtype=np.int64)
        for field, values, names in (
            ("y", y_array, self.class_names),
            ("a", a_array, self.attribute_names),
        ):
            outside = (values < 0) | (values >= len(names))
            if outside.any():
                row = int(np.flatnonzero(outside)[0])
                raise InputError(
                    f"{field}={values[row]} in row {row} is outside the coding 0..{len(names) - 1} "
                    f"({', '.join(names)})"
                )
        codes: NDArray[np.int64] = y_array * len(self.attribute_names) + a_array
        return codes


def _check_name(field: str, name: str) -> None:
    """InputError for a name that a spreadsheet would run as a formula, or that takes several lines.

    Names stand in CSV files as they are, so that what is read back is what was written; a name such
    as =HYPERLINK(...) is therefore refused here.
    """
    if is_formula(name) or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(
            f"{name[:60]!r} begins with one of = + - @ or holds a control character, and a "
            f"spreadsheet could run it; give other names in {field}"
        )
