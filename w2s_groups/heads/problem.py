"""One head to fit, as data: what the methods write and the solvers read and answer with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError

# Logit of a class that no target names, below the others: its probability is the float64 epsilon.
ABSENT = math.log(np.finfo(np.float64).eps)
# Logits of linear heads are known to about 1e-10. Those that differ by less than this tie, and the
# first class has the decision: an exact tie, as of equal features, must not hang on rounding.
TIE = 1e-8


@dataclass(frozen=True)
class CrossEntropy:
    """−Σ_k t_k log p_k for target probabilities t (hard or soft)."""


@dataclass(frozen=True)
class GCE:
    """Generalised cross-entropy Σ_k t_k (1 − p_k^q) / q, exponent q in (0, 1].

    Written −expm1(q log p)/q, which is exact as q → 0 (cross-entropy) and keeps its gradient where
    p underflows. Source: Zhang and Sabuncu, NeurIPS 2018, eq. 6.
    """

    q: float


@dataclass(frozen=True)
class Confidence:
    """(1 − α) cross-entropy with the targets + α cross-entropy with the head's own hard decision.

    The second term is −log max_k p_k; alpha in [0, 1). Ties share the decision equally.
    Source: Burns et al., Weak-to-Strong Generalization, 2023, eq. 1, with threshold 1/2.
    """

    alpha: float


@dataclass(frozen=True)
class Squared:
    """½ ‖z − t‖² of the scores z themselves: ridge regression on the targets, of any sign.

    Two classes have one score, for the second target; a numeric target is one column. l2_path:
    candidates from which leave-one-out picks each head's l2, in place of Problem.l2; empty:
    Problem.l2 holds.
    """

    l2_path: tuple[float, ...] = ()


Loss = CrossEntropy | GCE | Confidence | Squared


class Predictor(Protocol):
    """What a solver answers a problem with. scores: as in Head."""

    @property
    def scores(self) -> bool: ...

    def logits(self, X: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, K) logits of rows (n,) of its side's features X (N, d); K = 1 for two classes."""

    def arrays(self) -> Sequence[NDArray[np.floating]]:
        """What sets a fit that starts here apart from one that starts elsewhere."""


@dataclass(frozen=True, eq=False)
class Head:
    """Linear head with K logits: K = 1 for two classes (sigmoid) or a numeric target, else K = C.

    coef: (d, K), intercept: (K,), float64. scores: the K numbers are class scores as they stand
    (squared loss), not logits; l2: the weight it was fitted with, as leave-one-out may choose it.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    scores: bool = False
    l2: float | None = None

    def logits(self, X: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Predictor."""
        return np.asarray(X[rows].astype(np.float64) @ self.coef + self.intercept)

    def arrays(self) -> Sequence[NDArray[np.floating]]:
        """See Predictor."""
        return [self.coef, self.intercept]


@dataclass(frozen=True, eq=False)
class Problem:
    """min over (w, b) of (1/n) Σ_i loss(target_i, x_i w + b) + (l2/2) ‖w‖²; the intercept is free.

    rows: (n,) row indices into the feature matrix of `side` ("teacher" or "student").
    targets: (n, C) probabilities whose rows sum to 1; C = 2 is solved with one logit. Under
        `Squared` also (n, 1) numbers.
    weights: optional (n,) nonnegative sample weights (the mean becomes Σ w_i loss_i / Σ w_i).
    init: where a fit by steps starts, and a linear one where that saves iterations: the answer of a
        linear head does not depend on it, except under `Confidence`, which descends from it.
    centre: a linear head towards which the penalty pulls, (l2/2) ‖w − w_centre‖²; None: towards 0.
    seed: of what a fit by steps draws (first weights, order); a linear head draws nothing.
    asked: all rows that the answer may be asked about, ascending; None: any.
    given: the answer, where nothing is to be fitted.
    A class that no target names has coefficients 0 and intercept ABSENT: its exact limit is −∞.
    """

    side: str
    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    loss: Loss
    l2: float
    weights: NDArray[np.float64] | None = None
    init: Predictor | None = None
    centre: Predictor | None = None
    seed: int = 0
    asked: NDArray[np.int64] | None = None
    given: Predictor | None = None


def identity(problem: Problem) -> bytes:
    """Digest of everything that a fit depends on."""
    digest = hashlib.sha256(repr((problem.side, problem.loss, problem.l2, problem.seed)).encode())
    parts: list[NDArray[Any] | None] = [problem.rows, problem.targets, problem.weights]
    for head in (problem.init, problem.centre):
        parts += [None] if head is None else head.arrays()
    if problem.given is not None:  # nothing else: addresses of fine-tuned fits hold this digest
        parts += problem.given.arrays()
    for part in parts:
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.digest()


def linear(head: Predictor | None, what: str = "init") -> Head | None:
    """The `what` of a linear head; InputError for one of another kind."""
    if head is not None and not isinstance(head, Head):
        raise InputError(
            f"{what} is a {type(head).__name__}: a linear head needs a linear head there; "
            "set head=logistic for both fits"
        )
    return head


def choose(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) class of the largest of values (n, C); the first of those within TIE of it."""
    return np.asarray((values >= values.max(axis=1, keepdims=True) - TIE).argmax(axis=1))


def n_logits(n_classes: int) -> int:
    """K: one logit for two classes, else one per class or numeric target."""
    return 1 if n_classes == 2 else n_classes


def one_hot(labels: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """(n, C) hard targets of integer labels (n,) in 0..C−1."""
    codes = np.asarray(labels, dtype=np.int64)
    if codes.size and not (codes.min() >= 0 and codes.max() < n_classes):
        raise InputError(f"labels must lie in 0..{n_classes - 1}, got {codes.min()}..{codes.max()}")
    return np.eye(n_classes)[codes]


def normalised_weights(problem: Problem) -> NDArray[np.float64]:
    """(n,) weights that sum to 1."""
    n = problem.rows.size
    if problem.weights is None:
        return np.full(n, 1 / n)
    return np.asarray(problem.weights / problem.weights.sum(), dtype=np.float64)


def normalised_targets(problem: Problem) -> NDArray[np.float64]:
    """(n, C) targets whose rows sum to 1 to the last digit; numeric ones (n, 1) as they are."""
    targets = np.asarray(problem.targets, dtype=np.float64)
    if targets.shape[1] == 1:
        return targets
    return np.asarray(targets / targets.sum(axis=1, keepdims=True))


def present_classes(problem: Problem) -> NDArray[np.int64]:
    """Classes with any target mass on rows of positive weight: the others have logit −∞.

    Every class under the squared loss, whose scores stay finite.
    """
    if isinstance(problem.loss, Squared):
        return np.arange(problem.targets.shape[1])
    kept = problem.targets if problem.weights is None else problem.targets[problem.weights > 0]
    return np.flatnonzero(kept.sum(axis=0) > 0)


def constant_head(
    n_features: int, n_classes: int, present: NDArray[np.int64], scores: bool = False
) -> Head:
    """Head with zero coefficients and ABSENT logits for the absent classes.

    With one present class this is the solution; otherwise the present columns are to be filled.
    """
    K = n_logits(n_classes)
    intercept = np.full(n_classes, ABSENT)
    intercept[present] = 0.0
    if K == 1:
        intercept = intercept[1:] - intercept[:1]
    return Head(np.zeros((n_features, K)), intercept, scores)


def units(X: NDArray[np.floating], l2: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (d,) and unit (d,) = √(variance + l2) of each feature over all rows of X.

    Solvers work in (x − mean) / unit and measure their gradients there. The intercept is free, so
    the shift changes no solution; the units make tolerances mean the same at any feature scale.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    variance = np.zeros_like(mean)
    for start in range(0, len(X), 1024):  # no copy of all of X in float64
        centred = X[start : start + 1024] - mean
        variance += np.einsum("ij,ij->j", centred, centred)
    return mean, np.sqrt(variance / len(X) + l2)
