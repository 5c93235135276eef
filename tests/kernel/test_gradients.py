"""Sketched gradients of every sample against exact Jacobians, on networks that are small enough."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from w2s_groups.core.seeds import stream
from w2s_groups.kernel.gradients import ONE, WAYS, Gradients, used

WIDTH = 12


def normal(*shape: int, name: str = "x") -> Tensor:
    return torch.from_numpy(stream(0, f"test/gradients/{name}").standard_normal(shape)).float()


class Convolutions(nn.Module):
    """What images' networks are of; `spare` is a class layer that no feature comes from."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), activation,
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), activation,
            nn.MaxPool2d(2), nn.Conv2d(8, WIDTH, 1), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )  # fmt: skip
        self.spare = nn.Linear(WIDTH, 10)

    def forward(self, batch: Tensor) -> Tensor:
        features: Tensor = self.body(batch)
        return features


def convolutions(activation: nn.Module | None = None) -> nn.Module:
    network = Convolutions(activation or nn.ReLU(inplace=True))
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                drawn = normal(*tensor.shape, name=name)
                tensor.copy_(0.5 + drawn.abs() if "running_var" in name else 0.3 * drawn)
    return network.eval()


def heads(m: int, width: int = WIDTH) -> Tensor:
    return nn.functional.normalize(normal(m, width, name="heads"))


def jacobian(network: nn.Module, names: list[str], v: Tensor, batch: Tensor) -> Tensor:
    """(n, m D) of ∇ v_jᵀ h(x) / √m, by one backward pass for each row."""
    parameters = dict(network.named_parameters())
    chosen = [parameters[name] for name in names]
    rows = []
    for sample in batch:
        parts = []
        for head in v:
            output = network(sample[None])[0] @ head
            parts += [g.flatten() for g in torch.autograd.grad(output, chosen)]
        rows.append(torch.cat(parts))
    return torch.stack(rows) / len(v) ** 0.5


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_with_as_many_features_as_gradients_the_kernel_is_exact(m: int, way: str) -> None:
    network, batch = convolutions(), normal(7, 3, 10, 10)
    names = used(network, batch[:1])
    found = Gradients(network, names, heads(m), 10**6, 0, way=way)
    J = jacobian(convolutions(nn.ReLU()), names, heads(m), batch)
    assert found(batch).shape == J.shape
    close(found(batch) @ found(batch).T, J @ J.T)


@pytest.mark.parametrize("m", [1, 4])
def test_the_error_of_the_kernel_is_the_predicted_one(m: int) -> None:
    """Root mean square over seeds of the relative Frobenius error is sqrt(r / k)."""
    network, k = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, WIDTH)), 256
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(0.2 * normal(*parameter.shape, name=name))
    batch = normal(40, 20)
    names = used(network, batch[:1])
    J = jacobian(network, names, heads(m), batch).double()
    K = J @ J.T
    r = (K.trace() ** 2 / (K**2).sum()).item()
    errors = []
    for seed in range(60):
        made = Gradients(network, names, heads(m), k, seed)
        rows = made(batch).double()
        errors.append((((rows @ rows.T - K) ** 2).sum() / (K**2).sum()).item())
    # (r + 1) p, where p = 1 / k is how often two gradients share a bucket, or less in one block.
    n = made.buckets.length
    p = (n / k - 1) / (n - 1) if J.shape[1] <= n else 1 / k
    spread = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors) - (r + 1) * p) < 3 * spread
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.sqrt(r / k), rel=0.05)
    assert spread < 0.03 * r / k
    assert r > 8


def test_gradients_of_a_linear_model_are_its_features() -> None:
    """f(x) = vᵀWx with |v| = 1: the kernel is <x, y>."""
    network, batch = nn.Linear(20, WIDTH, bias=False), normal(9, 20)
    for m in (1, 4):
        rows = Gradients(network, ["weight"], heads(m), 10**6, 0)(batch)
        close(rows @ rows.T, batch @ batch.T)


def test_gradients_by_the_last_layer_are_the_penultimate_features() -> None:
    """f(x) = wᵀh(x) by w, a trained head: ∇f = h, whatever w is."""
    body, head = convolutions(), nn.Linear(WIDTH, 1)
    network, batch = nn.Sequential(body, head).eval(), normal(9, 3, 10, 10)
    rows = Gradients(network, ["1.weight"], torch.ones(1, 1), WIDTH, 0)(batch)
    h = body(batch).detach()
    close(rows @ rows.T, h @ h.T)
    close(rows.abs().sort().values, h.abs().sort().values)  # themselves, in another order


def test_parameters_that_no_feature_comes_from_are_left_out() -> None:
    network = convolutions()
    names = used(network, normal(1, 3, 10, 10))
    assert {name.partition(".")[0] for name, _ in network.named_parameters()} == {"body", "spare"}
    assert {name.partition(".")[0] for name in names} == {"body"}
    assert len(names) == len(list(network.body.parameters()))
    assert used(nn.Flatten(), normal(1, 3)) == []


def test_chunks_and_batches_change_rounding_only() -> None:
    network, batch = convolutions(nn.GELU()), normal(11, 3, 10, 10)
    names = used(network, batch[:1])
    whole = Gradients(network, names, heads(2), 64, 0)(batch)
    for chunk in (1, 4, 100):
        close(Gradients(network, names, heads(2), 64, 0, chunk=chunk)(batch), whole, 1e-6)
    made = Gradients(network, names, heads(2), 64, 0)
    close(torch.cat([made(part) for part in torch.split(batch, 3)]), whole, 1e-6)
    for way in WAYS:
        made.way = way
        close(made(batch), whole, 1e-6)


def changed(layer: nn.Module) -> nn.Module:
    network = convolutions()
    network.body[3] = layer
    return network.eval()


class Twice(nn.Module):
    """A layer that is called twice, or whose output a later step changes in place."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.layer = kind, nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        return self.layer(out) if self.kind == "twice" else nn.functional.relu_(out)


PLAIN = [
    nn.Conv2d(8, 8, (3, 5), padding=(2, 1), dilation=(2, 1), bias=False),
    nn.Conv2d(8, 8, (5, 3), stride=(2, 1), padding=(2, 0), dilation=(1, 2), groups=8),
    nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(8, 8, 3, padding="valid", groups=8), Twice("output"),
]  # fmt: skip
OTHER = [
    nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, padding="same"), Twice("twice"),
    nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    nn.BatchNorm2d(8, track_running_stats=False),
]  # fmt: skip


@pytest.mark.parametrize("layer", [*PLAIN, *OTHER], ids=str)
def test_the_quickest_way_is_that_of_the_layers_and_exact_for_each_of_them(
    layer: nn.Module,
) -> None:
    network, batch = changed(layer), normal(5, 3, 12, 12)
    names = used(network, batch[:1])
    made = Gradients(network, names, heads(2), 64, 0)
    made.settle(batch[:1])
    assert (made.way == "layers") == (layer in PLAIN)
    found, made.way = made(batch), ONE
    close(found, made(batch), 1e-5)


def test_a_linear_layer_on_several_places_is_plain_too() -> None:
    network = nn.Sequential(nn.Linear(5, 6), nn.GELU(), nn.Linear(6, WIDTH), nn.Flatten())
    batch = normal(4, 3, 5)
    made = Gradients(network, used(network, batch), heads(2, 3 * WIDTH), 64, 0)
    made.settle(batch[:1])
    assert made.way == "layers"
    found, made.way = made(batch), ONE
    close(found, made(batch))


def test_a_seed_gives_the_same_bits_and_another_others() -> None:
    network, batch = convolutions(), normal(5, 3, 10, 10)
    names = used(network, batch[:1])
    first = Gradients(network, names, heads(2), 64, 0)(batch)
    assert torch.equal(first, Gradients(network, names, heads(2), 64, 0)(batch))
    assert not torch.equal(first, Gradients(network, names, heads(2), 64, 1)(batch))


def test_rows_of_a_cosine_kernel_have_length_1_and_the_same_directions() -> None:
    network, batch = convolutions(), normal(5, 3, 10, 10)
    names = used(network, batch[:1])
    plain = Gradients(network, names, heads(2), 64, 0)(batch)
    unit = Gradients(network, names, heads(2), 64, 0, cosine=True)(batch)
    close(unit, plain / plain.norm(dim=1, keepdim=True), 1e-6)


def test_threads_in_inference_mode_share_a_network_and_leave_it_as_it_was() -> None:
    """As features are extracted: two threads at work on one network."""
    network, batch = convolutions(), normal(24, 3, 10, 10)
    before = copy.deepcopy(network.state_dict())
    made = Gradients(network, used(network, batch[:1]), heads(2), 64, 0, chunk=4)
    expected = made(batch)

    def task(_: int) -> Tensor:
        with torch.inference_mode():
            found: Tensor = made(batch + 0)
        return found

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(task, range(12)):
            assert torch.equal(found, expected)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network.body[2].inplace
