"""Models that hit a wanted p_{s∧w}, ‖Wᵀμ‖ and ‖Sᵀμ‖ exactly, in as few dimensions as they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.theory.model import Array, GroupModel, Law, check_p, check_range

MATCH_TOL = 1e-9


def equal_cosines(p_w: int, p_s: int, p_sw: float) -> list[float]:
    """p_s - 1 principal cosines, all shared ones equal, with 1 + Σcos² = p_sw.

    InputError unless 1 <= p_sw <= min(p_w, p_s).
    """
    shared = min(check_p("p_w", p_w), check_p("p_s", p_s)) - 1
    if not 1 <= p_sw <= shared + 1:
        raise InputError(
            f"p_sw={p_sw} is infeasible for p_w={p_w}, p_s={p_s}: 1 <= p_sw <= min(p_w, p_s) = "
            f"{shared + 1}; bring p_sw into that range"
        )
    cosine = float(np.sqrt((p_sw - 1) / shared)) if shared else 0.0
    return [cosine] * shared + [0.0] * (p_s - 1 - shared)


def model_with_overlap(
    *,
    p_w: int,
    cos: Sequence[float],
    mu_w: float,
    mu_s: float,
    sigma_xi: float,
    sigma_y: float,
    alignment: float | None = None,
    beta_norm: float = 1.0,
    law: Law = "mixture",
) -> GroupModel:
    """Model with principal cosines `cos` (p_s - 1 of them), ‖Wᵀμ‖ = mu_w and ‖Sᵀμ‖ = mu_s.

    For a wanted p_sw only take cos = equal_cosines(p_w, p_s, p_sw). With a = Wᵀμ and b = Ξ Sᵀμ,
    b lies along the first principal direction, and `alignment` = aᵀb / (‖a‖ ‖b‖) in [-1, 1];
    None moves just as much of a (of Sᵀμ) as consistency of the two norms asks onto a direction that
    only the teacher (only the student) sees, where there is one, and none else. InputError states
    the rule that an infeasible wish breaks.
    """
    k_w, k_s = check_p("p_w", p_w) - 1, len(cos)
    check_range("mu_w", mu_w, above=0)
    check_range("mu_s", mu_s, above=0)
    for field, norm, dim, k in (("mu_w", mu_w, "p_w", k_w), ("mu_s", mu_s, "p_s", k_s)):
        if norm > 0 and k == 0:
            raise InputError(f"{field}={norm} needs {dim} >= 2: with {dim}=1 no ξ is seen; set 0")
    cosine = np.zeros(max(k_w + k_s, 1))
    cosine[:k_s] = cos
    a, s = _seen(cosine, k_w, k_s, mu_w, mu_s, alignment)
    return GroupModel.from_cosines(
        cos,
        p_w=p_w,
        mu_xi=_mean(cosine, k_w, k_s, a, s),
        sigma_xi=sigma_xi,
        sigma_y=sigma_y,
        beta_norm=beta_norm,
        law=law,
    )


def _seen(
    cosine: Array, k_w: int, k_s: int, mu_w: float, mu_s: float, alignment: float | None
) -> tuple[Array, Array]:
    """Wᵀμ and Sᵀμ, padded with zeros: on the first principal direction and one of their own."""
    first = float(cosine[0])
    private_w = next((j for j in range(1, k_w) if cosine[j] == 0), None)
    private_s = next((j for j in range(1, k_s) if cosine[j] == 0), None)
    if alignment is not None:
        t, u = _explicit(alignment, first, mu_w, mu_s, k_w), 1.0
        if abs(t) < 1 and private_w is None:
            private_w = int(np.argmin(np.abs(cosine[1:k_w]))) + 1
    else:
        t = _share(mu_s, abs(first) * mu_w) if private_w is not None else 1.0
        u = _share(mu_w, abs(first) * mu_s) if private_s is not None else 1.0
        t = float(np.copysign(t, first))
    size = cosine.size
    return _split(size, k_w, mu_w, t, private_w), _split(size, k_s, mu_s, u, private_s)


def _split(size: int, k: int, norm: float, part: float, private: int | None) -> Array:
    """(size,) vector of a norm: `part` of it on axis 0, the rest on axis `private`, if any."""
    vector = np.zeros(size)
    if k:
        vector[0] = norm * part
        if private is not None:
            vector[private] = norm * np.sqrt(1 - part * part)
    return vector


def _mean(cosine: Array, k_w: int, k_s: int, a: Array, s: Array) -> Array:
    """μ with Wᵀμ = a and Sᵀμ = s; InputError where a direction seen in full by both forbids it."""
    mu = np.zeros(k_w + k_s)
    mu[:k_w] = a[:k_w]
    for j in range(k_s):
        c = float(cosine[j])
        missing = s[j] - c * a[j]
        if abs(c) < 1:
            mu[k_w + j] = missing / np.sqrt(1 - c * c)
            continue
        mu_w, mu_s = float(np.linalg.norm(a)), float(np.linalg.norm(s))
        if abs(missing) > MATCH_TOL * max(mu_w, mu_s):
            raise InputError(
                f"mu_w={mu_w:g}, mu_s={mu_s:g} are infeasible with cos[{j}]={c:g}: on a direction "
                "that both models see in full, Wᵀμ and Sᵀμ coincide; lower the cosine, or take "
                "mu_s <= mu_w with a direction that only the teacher sees"
            )
    return mu


def _share(other: float, needed: float) -> float:
    """The part of a unit vector that has to stay on the shared direction."""
    return min(1.0, other / needed) if needed > 0 else 1.0


def _explicit(alignment: float, first: float, mu_w: float, mu_s: float, k_w: int) -> float:
    if not -1 <= alignment <= 1:
        raise InputError(
            f"alignment={alignment} is not a cosine: give a number in [-1, 1], or none"
        )
    if first == 0 or mu_w == 0 or mu_s == 0:
        raise InputError(
            f"alignment={alignment} is undefined: Wᵀμ and Ξ Sᵀμ must both be non-zero, so it needs "
            "mu_w > 0, mu_s > 0 and a first cosine other than 0; leave it out"
        )
    if abs(alignment) < 1 and k_w < 2:
        raise InputError(
            f"alignment={alignment} needs p_w >= 3: in one dimension it is 1 or -1; raise p_w"
        )
    return float(alignment * np.sign(first))
