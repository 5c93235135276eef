"""Losses of a linear head as functions of its logits: value, gradient, curvature (NumPy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from w2s_groups.heads.problem import GCE, Confidence, Loss, Squared

Array = NDArray[np.float64]


def log_probabilities(logits: Array) -> Array:
    """(n, C) log p from (n, K) logits; one logit z stands for the pair (0, z)."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    log_p: Array = log_softmax(logits, axis=1)
    return log_p


def value_and_gradient(loss: Loss, logits: Array, targets: Array) -> tuple[Array, Array]:
    """Per-row loss (n,) and its gradient (n, K) in the logits. targets: (n, C)."""
    if isinstance(loss, Squared):
        gap: Array = logits - targets[:, -logits.shape[1] :]
        return (gap**2).sum(axis=1) / 2, gap
    log_p = log_probabilities(logits)
    slopes, values = _slopes(loss, log_p, targets)
    gradient = slopes - np.exp(log_p) * slopes.sum(axis=1, keepdims=True)
    return values, gradient[:, -logits.shape[1] :]


def curvature(loss: Loss, logits: Array, targets: Array, direction: Array) -> Array:
    """(n, K) derivative of the gradient along `direction` (n, K): Hessian times direction."""
    if isinstance(loss, Squared):
        return direction
    log_p = log_probabilities(logits)
    p = np.exp(log_p)
    if logits.shape[1] == 1:
        direction = np.concatenate([np.zeros_like(direction), direction], axis=1)
    d_log_p = direction - (p * direction).sum(axis=1, keepdims=True)
    slopes, _ = _slopes(loss, log_p, targets)
    q = loss.q if isinstance(loss, GCE) else 0.0
    d_slopes = q * slopes * d_log_p
    second = d_slopes - p * (
        d_log_p * slopes.sum(axis=1, keepdims=True) + d_slopes.sum(axis=1, keepdims=True)
    )
    second_k: Array = second[:, -logits.shape[1] :]
    return second_k


def _slopes(loss: Loss, log_p: Array, targets: Array) -> tuple[Array, Array]:
    """∂loss/∂log p_k (n, C), which every loss here has in closed form, and the loss (n,)."""
    if isinstance(loss, GCE):
        # d/d log p of −expm1(q log p)/q is −p^q: no factor q, and no p^(q−1) to overflow.
        values = -(targets * np.expm1(loss.q * log_p)).sum(axis=1) / loss.q
        return -targets * np.exp(loss.q * log_p), values
    if isinstance(loss, Confidence):
        top = log_p == log_p.max(axis=1, keepdims=True)
        own = top / top.sum(axis=1, keepdims=True)
        targets = (1 - loss.alpha) * targets + loss.alpha * own
    return -targets, -(targets * log_p).sum(axis=1)
