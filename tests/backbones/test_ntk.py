"""ntk/NETWORK: names, settings, weights and the cache; the gradients themselves: tests/kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from w2s_groups.backbones import get_backbone, get_encoder, get_table_encoder, load
from w2s_groups.backbones.base import Backbone, Network
from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.seeds import stream
from w2s_groups.features import extraction
from w2s_groups.kernel.gradients import ONE, Gradients
from w2s_groups.kernel.settings import HeadVector, Ntk, Parameters, RowScale

SQUEEZENET, LITE = "packaged/squeezenet1_1", "packaged/efficientnet_lite0"
SETTINGS = Ntk(
    k=32, heads=2, head=HeadVector.random, parameters=Parameters.all, scale=RowScale.none, seed=0
)
OWN = """
import torch
from torch import nn

class Branch(nn.Module):  # on a value, which vmap cannot
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4))

    def forward(self, batch):
        means = batch.mean((2, 3))
        return means @ self.weight.T + self.bias if (means < 9).all() else means

def branch():
    return Branch()

def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

class Changed(Branch):  # what a derivative needs is changed
    def forward(self, batch):
        means = batch.mean((2, 3)) @ self.weight.T
        return (means.exp().add_(1) * means).exp().mul_(2) * self.bias

def changed():
    return Changed()

def unbiased():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4, bias=False))
"""


def ntk(spec: str, size: int | None = 64, **changes: object) -> Backbone:
    return get_backbone(f"ntk/{spec}", size, replace(SETTINGS, **changes))  # type: ignore[arg-type]


def own(tmp_path: Path, name: str) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return f"module/{path}:{name}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        coarse = stream(i, "test/ntk").integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64)).save(folder / f"{i}.png")
    return folder


FILES = [f"{i}.png" for i in range(6)]


def pixels(backbone: Backbone, root: Path) -> torch.Tensor:
    return backbone.batch([backbone.preprocess(Image.open(root / file)) for file in FILES])


def apart(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest distance of two rows, relative to the row's length."""
    lengths = np.linalg.norm(expected, axis=1)
    return float((np.linalg.norm(found - expected, axis=1) / lengths).max())


@pytest.mark.parametrize(("spec", "parameters"), [(SQUEEZENET, 722_496), (LITE, 3_371_008)])
def test_features_are_gradients_of_the_weights_as_they_come(
    spec: str, parameters: int, root: Path, tmp_path: Path
) -> None:
    """Not of folded ones; and of none that no feature comes from, as of lite0's class layer."""
    backbone = ntk(spec)
    module = backbone.network
    assert isinstance(module, Gradients)
    assert 2 * parameters == module.buckets.D
    assert module.way == "layers"
    assert backbone.width == 32
    found = extraction.extract(root, FILES, backbone, tmp_path, batch_size=4, workers=2)

    plain = get_backbone(spec, 64)
    network = Network(plain.load(), plain.preprocessing, frozen=False)
    chosen = [p for name, p in network.named_parameters() if "._fc" not in name]
    for layer in network.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
    expected = []
    for sample in pixels(plain, root):
        features = network(sample[None])[0]
        parts = [
            torch.autograd.grad(features @ head, chosen, retain_graph=True) for head in module.heads
        ]
        both = torch.cat([g.flatten() for one in parts for g in one])
        expected.append(module.buckets.down([both]).numpy() / np.sqrt(2))
    # Rounding decides at a kink of ReLU6, so that a row may move a little further.
    assert apart(found.matrix, np.stack(expected)) < (1e-5 if spec == SQUEEZENET else 1e-2)


def test_workers_give_the_same_bits_and_batches_the_same_rows(root: Path, tmp_path: Path) -> None:
    backbone = ntk(SQUEEZENET)
    matrices = [
        extraction.extract(
            root, FILES, backbone, tmp_path / f"{n}", batch_size=size, workers=workers
        ).matrix
        for n, (size, workers) in enumerate([(2, 1), (2, 2), (6, 1), (1, 2)])
    ]
    assert np.array_equal(matrices[0], matrices[1])
    for matrix in matrices[2:]:
        assert apart(matrix, matrices[0]) < 1e-5


def test_every_setting_is_part_of_the_key(root: Path, tmp_path: Path) -> None:
    changes: list[dict[str, object]] = [
        {}, {"k": 31}, {"heads": 1}, {"parameters": Parameters.last},
        {"parameters": Parameters.biases}, {"scale": RowScale.cosine}, {"seed": 1},
    ]  # fmt: skip
    found = [
        extraction.extract(root, FILES[:1], ntk(SQUEEZENET, **change), tmp_path)
        for change in changes
    ]
    keys = {one.key for one in found}
    assert len(keys) == len(changes)
    assert get_backbone(SQUEEZENET, 64).transform in ntk(SQUEEZENET).transform
    assert "imagenet" in ntk(LITE, head=HeadVector.imagenet).transform
    assert ntk(SQUEEZENET).name == f"ntk/{SQUEEZENET}"
    assert not any(one.from_cache for one in found)
    assert extraction.extract(root, FILES[:1], ntk(SQUEEZENET), tmp_path).from_cache


def test_parameters_are_all_the_last_quarter_of_the_layers_or_the_biases() -> None:
    """The last quarter of SqueezeNet's 25 layers are its last two blocks and a layer."""
    chosen = {kind: ntk(SQUEEZENET, parameters=kind).network.names for kind in Parameters}
    blocks = {name.split(".")[2] for name in chosen[Parameters.last]}
    assert blocks == {"10", "11", "12"}
    assert len(chosen[Parameters.last]) == 14
    assert len(chosen[Parameters.all]) == 50
    assert chosen[Parameters.biases] == {n for n in chosen[Parameters.all] if n.endswith("bias")}


def test_heads_are_random_or_sums_of_the_classes_of_imagenet() -> None:
    module = ntk(LITE, 32, head=HeadVector.imagenet, heads=3).network
    assert isinstance(module, Gradients)
    classes = next(m.class_weights for m in module.modules() if hasattr(m, "class_weights"))
    norms = module.heads.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(3))
    onto = torch.linalg.lstsq(classes.detach().T, module.heads.T, driver="gelsd").solution
    torch.testing.assert_close(classes.detach().T @ onto, module.heads.T, rtol=0, atol=1e-4)
    more = ntk(LITE, 32, heads=3).network
    assert torch.equal(more.heads[:2], ntk(LITE, 32, heads=2).network.heads)
    with pytest.raises(InputError, match=r"ntk.head=imagenet needs the class layer .* ntk.head=ra"):
        _ = ntk(SQUEEZENET, head=HeadVector.imagenet).network


@pytest.mark.parametrize("spec", ["torchvision/resnet18@none", "timm/test_resnet@none",
                                  "timm/test_vit@none"])  # fmt: skip
def test_networks_of_other_libraries(spec: str) -> None:
    pytest.importorskip(spec.partition("/")[0])
    backbone = ntk(spec)
    batch = torch.from_numpy(
        stream(0, "test/ntk/batch").integers(0, 256, (3, *backbone.preprocessing.shape))
    ).to(torch.uint8)
    together = backbone.forward(batch)
    module = backbone.network
    assert isinstance(module, Gradients)
    assert together.shape == (3, 32)
    assert torch.isfinite(together).all()
    assert module.way == ("layers" if "18" in spec or "resnet" in spec else "vmap")
    module.way = ONE
    assert apart(backbone.forward(batch).numpy(), together.numpy()) < 1e-2


@pytest.mark.parametrize("spec", ["packaged/all_minilm_l6_v2", "packaged/wordllama"])
def test_encoders_of_texts(spec: str) -> None:
    pytest.importorskip("transformers")
    encoder = get_encoder(f"ntk/{spec}", SETTINGS)
    texts = ["It is one of the two.", "Another, and a longer one, of which more is said."]
    samples = [encoder.tokens(text) for text in texts]
    padded = encoder.forward(encoder.batch(samples)).numpy()
    each = np.concatenate([encoder.forward(encoder.batch([one])).numpy() for one in samples])
    assert padded.shape == (2, 32)
    assert apart(padded, each) < 1e-4  # padding adds nothing
    assert load(f"ntk/{spec}", gradients=SETTINGS).name == f"ntk/{spec}"


def test_a_network_that_vmap_cannot_run_is_run_by_single_images(tmp_path: Path) -> None:
    backbone = ntk(own(tmp_path, "branch"), k=10**5, heads=1)
    module = backbone.network
    assert isinstance(module, Gradients)
    assert module.way == ONE
    batch = torch.full((2, *backbone.preprocessing.shape), 130, dtype=torch.uint8)
    batch[1] += 9
    rows = backbone.forward(batch)
    # By the weights v means(x)ᵀ, by the biases v, of length 1: <x, y> + 1.
    means = (batch[:, 0, 0].double() - backbone.network.network.mean.view(-1, 3)[0]) * (
        backbone.network.network.scale.view(-1, 3)[0]
    )
    expected = (means @ means.T + 1).float()
    torch.testing.assert_close(rows @ rows.T, expected, rtol=1e-4, atol=1e-5)


def test_memory_decides_how_many_images_are_taken_at_once() -> None:
    need = 2 * 4 * 722_496

    def network(memory: int) -> nn.Module:
        return get_backbone(f"ntk/{SQUEEZENET}", 64, SETTINGS, memory).network

    few = network(3 * need + 5)
    assert isinstance(few, Gradients)
    assert few.chunk == 3
    with pytest.raises(MemoryLimitError, match="gradients of one sample by ntk/packaged/squee"):
        network(need - 1)


@pytest.mark.parametrize("spec", ["ntk/file/x.npy", "ntk/table/onehot", f"ntk/ntk/{SQUEEZENET}"])
def test_what_has_no_parameters_is_refused(spec: str) -> None:
    message = r"takes gradients by the parameters of a network, and \S+ is not one; name a network"
    with pytest.raises(InputError, match=message):
        get_backbone(spec, 64, SETTINGS)
    with pytest.raises(InputError, match=message):
        get_encoder(spec, SETTINGS)
    with pytest.raises(InputError, match=message):
        get_table_encoder(spec)


def test_other_refusals(tmp_path: Path) -> None:
    for name, changes, message in (
        ("means", {}, "no parameter has a part in the network's features, so that there is no gr"),
        (
            "changed",
            {},
            r"no gradient can be taken \(one of the variables needed for gradient comp",
        ),
        ("unbiased", {"parameters": Parameters.biases}, "has no parameter of that name; set ntk.p"),
    ):
        backbone = ntk(own(tmp_path, name), **changes)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=message):
            _ = backbone.network
    with pytest.raises(InputError, match=r"ntk/packaged/squeezenet1_1 has no settings; give gradi"):
        get_backbone(f"ntk/{SQUEEZENET}")
    with pytest.raises(InputError, match="squeezenet1_0' is unknown"):
        ntk("packaged/squeezenet1_0")
    with pytest.raises(InputError, match="reads images or texts and the data set holds rows"):
        get_table_encoder(f"ntk/{SQUEEZENET}")
    for changes, message in (
        ({"k": 0}, r"ntk.k=0 is outside \[1, 131072\]; choose a value in it"),
        ({"k": 2**17 + 1}, r"ntk.k=131073 is outside"),
        ({"heads": 0}, r"ntk.heads=0 is outside \[1, 1024\]"),
        ({"seed": -1}, r"ntk.seed=-1 is outside"),
    ):
        with pytest.raises(InputError, match=message):
            replace(SETTINGS, **changes)
