"""A run takes the cores that others leave, looked up as its heads are solved."""

from __future__ import annotations

import pytest
import torch

from w2s_groups.core.machine import Others
from w2s_groups.experiment import threads
from w2s_groups.experiment.threads import Threads


def test_threads_follow_what_others_do_while_heads_are_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = [0.0]
    monkeypatch.setattr(Others, "busy", lambda self: busy[0])
    monkeypatch.setattr("w2s_groups.core.machine.cores", lambda: 2)
    monkeypatch.setattr(threads, "SECONDS", 0.0)
    before, told = torch.get_num_threads(), []
    try:
        torch.set_num_threads(2)
        with Threads(None) as own:
            assert torch.get_num_threads() == 2
            busy[0] = 1.0
            own.after(lambda done, total: told.append((done, total)))(3, 4)
            assert told == [(3, 4)]
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with Threads(2):
            assert torch.get_num_threads() == 2  # as asked, whatever others do
    finally:
        torch.set_num_threads(before)
