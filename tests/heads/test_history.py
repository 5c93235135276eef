"""Directions from the compact form against the two-loop recursion, head by head."""

from __future__ import annotations

import torch
from torch import Tensor

from w2s_groups.core.seeds import stream
from w2s_groups.heads.history import History

HEADS, WIDTH, SIZE = 5, 7, 4


def recursion(g: Tensor, P: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """−H g of one head, Nocedal and Wright, algorithm 7.4, from the first inverse Hessian γP."""
    q, alphas = g.clone(), []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (s @ y))
        q -= alphas[-1] * y
    gamma = 1.0
    if pairs:
        s, y = pairs[-1]
        gamma = float((s @ y) / (y @ P @ y))
    r = gamma * (P @ q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r += (alpha - (y @ r) / (s @ y)) * s
    return -r


def test_directions_are_those_of_the_recursion() -> None:
    """Pairs beyond the size, one that does not count, a head that forgets, one that leaves, a new
    P."""
    rng = stream(0, "test/history")

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape))

    def definite(n: int) -> Tensor:
        A = normal(n, n)
        return A @ A.T + torch.eye(n, dtype=A.dtype)

    P, H = definite(WIDTH), [definite(WIDTH) for _ in range(HEADS)]
    history = History(HEADS, WIDTH, SIZE, P)
    pairs: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(HEADS)]

    def check() -> None:
        g = normal(len(pairs), WIDTH)
        found = history.direction(g, g @ P)
        for i, own in enumerate(pairs):
            torch.testing.assert_close(found[i], recursion(g[i], P, own), rtol=1e-8, atol=1e-8)

    check()
    for step in range(7):
        s = normal(len(pairs), WIDTH)
        y = torch.stack([H[i] @ s[i] for i in range(len(pairs))])
        if step == 2:
            y[1] = -y[1]  # curvature that is not positive
        history.add(s, y, y @ P)
        for i, own in enumerate(pairs):
            own.append((s[i], y[i]))
            del own[:-SIZE]
        if step == 3:
            history.forget(torch.arange(len(pairs)) == 2)
            pairs[2].clear()
        if step == 4:
            mask = torch.arange(len(pairs)) != 0
            history.keep(mask)
            del pairs[0], H[0]
        if step == 5:
            P = definite(WIDTH)
            history.renew(P.__rmatmul__)
        if step != 2:
            counted = [[p for p in own if p[0] @ p[1] > 0] for own in pairs]
            pairs, all_pairs = counted, pairs
            check()
            pairs = all_pairs
