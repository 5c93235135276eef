"""Ridge and least squares over φ = z ⊗ ψ by conjugate gradients that never form φ.

(ΦΘ)_i = ψ_iᵀ(Θ z_i): one pass over Z (n, d_z) serves the p rows of Θ, every right-hand side and
every ψ that share Z, in two matrix products per block of rows. What makes it fast: coordinates in
which the normal matrix is the identity up to sampling noise (condition number of a
Marchenko-Pastur law, about (1 + sqrt(g))²/(1 - sqrt(g))² at g = p d_z / n), float32 passes, and
float64 residuals around them (iterative refinement), and only these decide when to stop.
Source: docs/theory.md, section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import torch
from w2s_groups.theory.rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_ROWS = 512  # rows of one product: a block of Z stays in cache between its two products
SINGLE_FLOOR = 1e-6  # relative residual that a float32 round can be trusted to reach


@dataclass(frozen=True, eq=False)
class Solution:
    """theta (G, m, p, d_z) float64; error (G, m): bound on its relative error; passes over Z."""

    theta: Tensor
    error: Tensor
    passes: int


def product_values(rows: Rows, psi: Tensor, theta: Tensor) -> Tensor:
    """(G, n, m) values ψ_iᵀ(Θ z_i), float64. psi: (G, n, p); theta: (G, m, p, d_z)."""
    G, m, p, d_z = theta.shape
    out = torch.empty(G, rows.n, m, dtype=torch.float64, device=rows.device)
    psi, flat = psi.to(rows.device, torch.float64), theta.to(rows.device).reshape(-1, d_z).double()
    for span, z in rows.blocks(torch.float64):
        u = (z @ flat.T).view(-1, G, m, p)
        out[:, span] = torch.einsum("igmp,gip->gim", u, psi[:, span])
    return out


def product_ridge(
    rows: Rows,
    psi: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    alpha: float,
    *,
    tol: float = 1e-9,
    max_passes: int = 5000,
) -> Solution:
    """Minimisers of (1/n)‖ΦΘ − y‖² + alpha ‖Θ‖² for G features ψ and m right-hand sides each.

    psi: (G, n, p); y: (G, n, m); alpha >= 0. alpha = 0 is least squares: of minimum norm where
    p d_z > n or where ψ spans fewer than p dimensions (otherwise Z needs full column rank).
    tol: relative error of every Θ in the norm of its whitened coordinates, as bounded by the
    float64 residual over the smallest Ritz value. InputError where shapes or values are off, or
    where the problem is too ill-conditioned to get there in max_passes.
    Memory beyond Z: 20 G n p + 60 G m p d_z bytes and a few blocks of G m p columns.
    """
    psi, y = _checked(rows, psi, y, alpha)
    system = _System(rows, psi, y, alpha)
    x = torch.zeros_like(system.b)
    r, floor = system.b, torch.full(system.b.shape[:2], torch.inf, device=rows.device)
    dtype = torch.float64 if system.minimum_norm else torch.float32
    passes, start = 1, _norm(system.b).clamp_min(1e-300)
    error = _norm(r) / start
    while True:
        before = _norm(r)
        goal = SINGLE_FLOOR if dtype == torch.float32 else 1e-15
        want = 0.5 * tol * torch.where(floor < torch.inf, floor * _norm(x), system.edge * start)
        rtol = torch.clamp(want / before.clamp_min(1e-300), goal, 0.5)
        step, ritz, used = _conjugate_gradients(system, r, rtol, dtype, max_passes - passes)
        x = x + step
        r = system.b - system.apply(x)
        passes += used + 1
        floor = torch.minimum(floor, ritz)
        gap = _norm(r) / (floor * _norm(x)).clamp_min(1e-300)
        error = torch.where(_norm(r) == 0, 0.0, gap)  # zero targets never move
        if bool((error <= tol).all()):
            return Solution(system.back(x), error, passes)
        if passes >= max_passes:
            raise InputError(
                f"alpha={alpha} with n={rows.n}, p*d_z={psi.shape[2] * rows.d_z} is too "
                f"ill-conditioned: relative error {float(error.max()):.1e} after {passes} passes; "
                "give a larger alpha or more samples"
            )
        if bool((_norm(r) > 0.1 * before)[error > tol].any()):
            dtype = torch.float64  # float32 rounding no longer helps: condition number near 1e6


class _System:
    """Normal equations A x = b in coordinates x = Tᵀ-whitened Θ, where A is near the identity.

    T = Q / sqrt(alpha + λ) from the eigenvectors Q of (1/n) Σ ψψᵀ, zero on its null space (there
    the minimum-norm Θ vanishes). Underdetermined least squares keeps T = Q: conjugate gradients
    from 0 stay in the row space, so the limit has minimum norm only if T is orthonormal.
    """

    def __init__(self, rows: Rows, psi: Tensor, y: Tensor, alpha: float) -> None:
        lam, Q = torch.linalg.eigh(psi.mT @ psi / rows.n)  # (G, p), (G, p, p)
        alive = lam > lam.amax(dim=1, keepdim=True) * 1e-13 * lam.shape[1]
        scale = torch.where(alive, (alpha + lam).clamp_min(1e-300).rsqrt(), 0.0)
        short = alive.sum(dim=1, keepdim=True) * rows.d_z > rows.n
        self.minimum_norm = alpha == 0 and bool(short.any())  # float32 steps leave the row space
        if self.minimum_norm:
            scale = torch.where(short, alive.double(), scale)
        self.rows, self.T = rows, Q * scale[:, None, :]
        white = (psi @ self.T).transpose(0, 1).contiguous()  # (n, G, p)
        self._psi = {torch.float64: white, torch.float32: white.float()}
        # Marchenko-Pastur edge: a guess of A's smallest eigenvalue, for the first round's goal.
        ratio = (alive.sum(dim=1) * rows.d_z / rows.n).clamp_max(1.0)
        self.edge = (1 - ratio.sqrt()).square().clamp_min(0.01)[:, None]
        self._ridge = (alpha * scale.square())[:, None, :, None]
        self._y = y.transpose(0, 1).contiguous()  # (n, G, m)
        self.b = self._transposed()

    def _transposed(self) -> Tensor:
        """(G, m, p, d_z) Φᵀy / n in whitened coordinates."""
        psi, (n, G, m) = self._psi[torch.float64], self._y.shape
        p, d_z = psi.shape[2], self.rows.d_z
        out = torch.zeros(G * m * p, d_z, dtype=torch.float64, device=psi.device)
        for span, z in self.rows.blocks(torch.float64):
            weighted = self._y[span][..., None] * psi[span][:, :, None, :]
            out.addmm_(weighted.flatten(1).T, z)
        return out.view(G, m, p, d_z) / n

    def apply(self, x: Tensor) -> Tensor:
        """A x in x's own precision; x: (G, m, p, d_z). One pass over Z."""
        G, m, p, d_z = x.shape
        columns = G * m * p
        psi, flat = self._psi[x.dtype], x.new_zeros(_padded(columns), d_z)
        flat[:columns] = x.reshape(columns, d_z)
        weighted = x.new_zeros(BLOCK_ROWS, len(flat))
        out = torch.zeros_like(flat)
        for span, chunk in self.rows.blocks(x.dtype):
            of_chunk = psi[span]
            for low in range(0, len(chunk), BLOCK_ROWS):
                z = chunk[low : low + BLOCK_ROWS]
                weights = of_chunk[low : low + BLOCK_ROWS, :, None, :]
                values = (z @ flat.T)[:, :columns].reshape(-1, G, m, p)
                residual = (values * weights).sum(dim=3, keepdim=True)
                weighted[: len(z), :columns] = (residual * weights).flatten(1)
                out.addmm_(weighted[: len(z)].T, z)
        image = out[:columns].view(G, m, p, d_z)
        return image / self.rows.n + self._ridge.to(x.dtype) * x

    def back(self, x: Tensor) -> Tensor:
        """Θ of whitened coordinates x."""
        return torch.einsum("gpq,gmqd->gmpd", self.T, x)


def _conjugate_gradients(
    system: _System, b: Tensor, rtol: Tensor, dtype: torch.dtype, max_passes: int
) -> tuple[Tensor, Tensor, int]:
    """Step solving A step = b to rtol (G, m) per system, smallest Ritz values (G, m), passes.

    Systems run side by side with their own step lengths; a finished one stands still.
    """
    size = _norm(b)
    r = (b / size.clamp_min(1e-300)[..., None, None]).to(dtype)
    x, d = torch.zeros_like(r), r.clone()
    rho = _dot(r, r)
    stop = rtol.square()
    lengths: list[Tensor] = []
    ratios: list[Tensor] = []
    active = (size > 0) & (rho > stop)
    while bool(active.any()) and len(lengths) < max(max_passes, 1):
        image = system.apply(d)
        curvature = _dot(d, image)
        active = active & (curvature > 0)
        length = torch.where(active, rho / curvature.clamp_min(1e-300), 0.0)
        x += length.to(dtype)[..., None, None] * d
        r -= length.to(dtype)[..., None, None] * image
        after = _dot(r, r)
        ratio = torch.where(active, after / rho.clamp_min(1e-300), 0.0)
        d = torch.where(active[..., None, None], r + ratio.to(dtype)[..., None, None] * d, d)
        lengths.append(length)
        ratios.append(ratio)
        rho = torch.where(active, after, rho)
        active = active & (rho > stop)
    step = x.double() * size[..., None, None]
    return step, _smallest_ritz(lengths, ratios, size), len(lengths)


def _smallest_ritz(lengths: list[Tensor], ratios: list[Tensor], like: Tensor) -> Tensor:
    """Smallest eigenvalue of the Lanczos matrix that conjugate gradients went through.

    Steps of a system that stands still (length 0) are cut off by a large diagonal entry.
    """
    if not lengths:
        return torch.full_like(like, torch.inf)
    step, ratio = torch.stack(lengths, dim=-1), torch.stack(ratios, dim=-1)  # (G, m, k)
    moving = step > 0
    inverse = torch.where(moving, 1 / step.clamp_min(1e-300), 1e6)
    carried = torch.where(moving[..., 1:], ratio[..., :-1] * inverse[..., :-1], 0.0)
    diagonal = inverse.clone()
    diagonal[..., 1:] += carried
    off = torch.where(moving[..., 1:], ratio[..., :-1].sqrt() * inverse[..., :-1], 0.0)
    lanczos = torch.diag_embed(diagonal) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    smallest: Tensor = torch.linalg.eigvalsh(lanczos)[..., 0]
    return smallest.clamp_min(1e-300)


def _padded(columns: int) -> int:
    """`columns` up to a multiple of 16: matrix products of odd widths run at half the rate."""
    return -(-columns // 16) * 16


def _dot(a: Tensor, b: Tensor) -> Tensor:
    products: Tensor = torch.linalg.vecdot(a.flatten(2), b.flatten(2))
    return products.double()


def _norm(x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, dim=(2, 3))
    return norm


def _checked(
    rows: Rows, psi: Tensor | np.ndarray, y: Tensor | np.ndarray, alpha: float
) -> tuple[Tensor, Tensor]:
    psi = torch.as_tensor(psi, dtype=torch.float64, device=rows.device)
    y = torch.as_tensor(y, dtype=torch.float64, device=rows.device)
    if not (alpha >= 0 and math.isfinite(alpha)):
        raise InputError(f"alpha={alpha} is not a ridge weight: give a finite number >= 0")
    if psi.ndim != 3 or y.ndim != 3 or not psi.shape[:2] == y.shape[:2] == (len(psi), rows.n):
        raise InputError(
            f"psi {tuple(psi.shape)} and y {tuple(y.shape)} do not fit Z with n={rows.n}: "
            "give psi (G, n, p) and y (G, n, m)"
        )
    for field, values in (("psi", psi), ("y", y)):
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"{field} holds values that are not finite: remove or repair them")
    return psi, y
