"""Ratios of sizes and ridge weights: what stays fixed while the minority fractions vary."""

from __future__ import annotations

from dataclasses import dataclass, fields

from w2s_groups.core.errors import InputError
from w2s_groups.theory.model import Side, check_range

_FIELDS: dict[Side, tuple[str, str, str]] = {
    "teacher": ("gamma_z", "alpha_w", "p_w"),
    "student": ("nu_z", "alpha_s", "p_s"),
}


@dataclass(frozen=True)
class Regime:
    """gamma_z = d_z/n of the teacher, nu_z = d_z/N of the student; ridge weights alpha_w, alpha_s.

    All are >= 0 and finite, InputError otherwise; alpha = 0 means least squares.
    """

    gamma_z: float
    nu_z: float
    alpha_w: float = 0.0
    alpha_s: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_range(field.name, getattr(self, field.name), above=0)

    @property
    def ridgeless(self) -> bool:
        """Whether both sides are least squares, which is what the printed forms cover."""
        return self.alpha_w == self.alpha_s == 0

    def of(self, side: Side, p_side: int) -> tuple[float, float]:
        """Ratio of sizes and ridge weight of one side with p_side features.

        InputError where least squares has no limit: ratio * p_side >= 1.
        """
        ratio, ridge, dim = _FIELDS[side]
        scale, alpha = getattr(self, ratio), getattr(self, ridge)
        if alpha == 0 and scale * p_side >= 1:
            raise InputError(
                f"{ratio}={scale:g} with {dim}={p_side} and {ridge}=0 has no limit: least squares "
                f"needs {ratio} * {dim} < 1; lower {ratio} below {1 / p_side:.4g} or set "
                f"{ridge} > 0"
            )
        return scale, alpha

    def not_reached(self, side: Side, way: str) -> InputError:
        """The error of an iteration, described by `way`, that found no fixed point of one side."""
        ratio, ridge, _ = _FIELDS[side]
        return InputError(
            f"{ratio}={getattr(self, ratio):g} with {ridge}={getattr(self, ridge):g}: the {side}'s "
            f"fixed point was not reached in {way}, too close to interpolation; raise {ridge}"
        )
