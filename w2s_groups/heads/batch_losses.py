"""The losses of `losses.py` for many heads at once, on tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from w2s_groups.heads.problem import GCE, Confidence, Loss
from w2s_groups.heads.threads import logsigmoid


def value_and_gradient(loss: Loss, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Per-row loss (P, m) and its gradient (P, K, m) in the logits (P, K, m).

    targets: (P, K, m) probabilities; for K = 1 the probability of the second class.
    """
    if logits.shape[1] == 1:
        value, gradient = _binary(loss, logits, targets)
        return value.squeeze(1), gradient
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    if isinstance(loss, GCE):
        power = torch.expm1(loss.q * log_p)
        slopes = targets * power.add(1)  # −∂loss/∂log p_k = t_k p_k^q
        others = slopes.sum(1, keepdim=True) - slopes
        return -(targets * power).sum(1) / loss.q, p * others - slopes * _away(p)
    if isinstance(loss, Confidence):
        top = (log_p == log_p.amax(1, keepdim=True)).to(log_p.dtype)
        own = top / top.sum(1, keepdim=True)
        targets = (1 - loss.alpha) * targets + loss.alpha * own
    # p − t without its cancellation: where p is near 1, 1 − p has digits that p lacks.
    return -(targets * log_p).sum(1), (1 - targets) * p - targets * _away(p)


def _away(p: Tensor) -> Tensor:
    """1 − p of probabilities (P, K, m), for the largest as the sum of the others."""
    top = p.argmax(1, keepdim=True)
    return (1 - p).scatter(1, top, p.scatter(1, top, 0.0).sum(1, keepdim=True))


def _binary(loss: Loss, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.sigmoid(z)
    if isinstance(loss, GCE):
        log_p = logsigmoid(z)
        power, power_0 = torch.expm1(loss.q * log_p), torch.expm1(loss.q * (log_p - z))
        slope, slope_0 = t * (1 + power), (1 - t) * (1 + power_0)
        value = -(t * power + (1 - t) * power_0) / loss.q
        return value, slope_0 * p - slope * torch.sigmoid(-z)
    if isinstance(loss, Confidence):
        t = (1 - loss.alpha) * t + loss.alpha * torch.heaviside(z, z.new_tensor(0.5))
    # −logsigmoid(−z) is log(1 + e^z) to the last digit; softplus turns linear too early.
    return -logsigmoid(-z) - t * z, (1 - t) * p - t * torch.sigmoid(-z)


def spread(logits: Tensor) -> Tensor:
    """p (1 − p), averaged over logits: (P, m), the cross-entropy's curvature per row."""
    p = torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)
    return (p * (1 - p)).mean(1)


def curvature(
    loss: Loss, logits: Tensor, targets: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Diagonal (P, K, m) of each row's Hessian in its logits, and the product with it.

    Of cross-entropy and GCE, whose Hessian need not be positive. The product takes and gives
    (P, K, m), and its answer may be overwritten.
    """
    q = loss.q if isinstance(loss, GCE) else 0.0
    if logits.shape[1] == 1:
        p, log_p = torch.sigmoid(logits), logsigmoid(logits)
        r = torch.sigmoid(-logits)
        one, other = targets * (q * log_p).exp(), (1 - targets) * (q * (log_p - logits)).exp()
        diagonal = one * r * (p - q * r) + other * p * (r - q * p)
        return diagonal, lambda direction: diagonal * direction
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    slopes = targets * (q * log_p).exp()
    total = slopes.sum(1, keepdim=True)

    def product(direction: Tensor) -> Tensor:
        change = direction - (p * direction).sum(1, keepdim=True)  # of log p
        of_slopes = q * slopes * change
        return p * (change * total + of_slopes.sum(1, keepdim=True)) - of_slopes

    # product(e_k)_k, with change = δ − p_k in class j and own slope s_k.
    mixed = q * slopes * (1 - p) - q * p * (total - slopes)
    diagonal = p * ((1 - p) * total + mixed) - q * slopes * (1 - p)
    return diagonal, product
