"""Linear layers by oneDNN give the products of torch's own, wherever they are used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from w2s_groups.backbones import onednn
from w2s_groups.core.seeds import stream

pytestmark = pytest.mark.skipif(not onednn.available(), reason="this torch has no oneDNN")


def test_products_are_those_of_torch() -> None:
    rng = stream(0, "test/onednn")
    x = torch.from_numpy(rng.normal(size=(3, 5, 32))).float()
    for layer in (nn.Linear(32, 7), nn.Linear(32, 7, bias=False)):
        with torch.inference_mode():
            own = layer(x)
            with onednn.products(x.device):
                found = layer(x)
        assert found.shape == own.shape
        torch.testing.assert_close(found, own, rtol=1e-5, atol=1e-6)


def test_only_float32_layers_on_a_cpu_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    whole = onednn._linear
    monkeypatch.setattr(onednn, "_linear", lambda *args: taken.append(1) or whole(*args))
    x, layer, cpu = torch.ones(2, 8), nn.Linear(8, 3), torch.device("cpu")
    with torch.inference_mode():
        with onednn.products(cpu):
            layer(x)
        assert len(taken) == 1
        with onednn.products(cpu):
            layer.double()(x.double())
        with torch.autocast("cpu", torch.bfloat16), onednn.products(cpu):
            layer.float()(x)
        with onednn.products(torch.device("cuda")):
            layer(x)
        layer(x)
    assert len(taken) == 1
