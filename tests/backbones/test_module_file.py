"""A network of one's own by the path of a Python file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import picture

from w2s_groups.backbones import get_backbone
from w2s_groups.core.errors import InputError

SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 4, 4)
        self.norm = nn.BatchNorm2d(5)
    def forward(self, x):
        return self.norm(self.conv(x)).mean((2, 3))

def plain():
    return Net()

def own():
    net = Net()
    net.preprocessing = {PREPROCESSING}
    return net

def number():
    return 3

def several():
    return type("Two", (nn.Module,), {{"forward": lambda self, x: (x, x)}})()

def fails():
    return nn.Linear(7, 1)

def broken():
    raise KeyError("no such thing")
"""
OWN = {
    "resize": (40, 30),
    "crop": (32, 24),
    "fit": "squash",
    "interpolation": "lanczos",
    "mean": [1, 2, 3],
    "std": [4, 5, 6],
}


def write(folder: Path, preprocessing: object = OWN) -> Path:
    path = folder / "networks.py"
    path.write_text(SOURCE.format(PREPROCESSING=preprocessing))
    return path


def test_features_are_the_modules_own_on_what_its_preprocessing_says(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    backbone = get_backbone(f"module/{write(tmp_path)}:own")
    assert torch.equal(before, torch.random.get_rng_state())
    assert backbone.width == 5
    image = picture(150, 211)
    resized = np.asarray(image.resize((30, 40), 1), dtype=np.float32)[4:36, 3:27]
    x = torch.from_numpy((resized - (1, 2, 3)) / (4, 5, 6)).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        body = backbone.load()
        expected = body(x)[0].numpy()
    ours = backbone.forward(backbone.preprocess(image)[None])[0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_without_a_word_it_is_fed_as_imagenet_networks_are_and_any_size_uncropped(
    tmp_path: Path,
) -> None:
    spec = f"module/{write(tmp_path)}:plain"
    usual = get_backbone("torchvision/resnet18@none").preprocessing
    assert get_backbone(spec).preprocessing.mean == usual.mean
    assert get_backbone(spec).preprocessing.crop == 224
    assert get_backbone(spec, 64).preprocess(picture(64, 64)).numpy().tolist() == (
        np.asarray(picture(64, 64)).tolist()
    )


def test_identity_follows_file_and_state(tmp_path: Path) -> None:
    path = write(tmp_path)
    spec = f"module/{path}:plain"
    first = get_backbone(spec)
    assert get_backbone(spec).weights_hash == first.weights_hash  # random, but the same
    state = first.load().state_dict()
    torch.save(state, tmp_path / "same.pth")
    assert get_backbone(f"{spec}@{tmp_path}/same.pth").weights_hash == first.weights_hash
    state["norm.running_mean"] = torch.ones(5)  # a buffer counts as much as a parameter
    torch.save(state, tmp_path / "w.pth")
    assert get_backbone(f"{spec}@{tmp_path}/w.pth").weights_hash != first.weights_hash
    path.write_text(path.read_text() + "\n# other code\n")
    assert get_backbone(spec).weights_hash != first.weights_hash


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = write(tmp_path)
    for rest, message in {
        f"{path}": r"module/FILE\.py:FACTORY",
        f"{path}:": r"module/FILE\.py:FACTORY",
        f"{tmp_path}/gone.py:plain": "names a file that is missing",
        f"{path}:plian": "did you mean 'plain'",
        f"{path}:number": "returned int; return a torch.nn.Module",
        f"{path}:several": "gives tuple for two images",
        f"{path}:fails": r"fails on images of 224 x 224 pixels \(RuntimeError",
        f"{path}:broken": r"line 31: KeyError.*no such thing",
        f"{path}:plain@{tmp_path}/gone.pth": "names a weights file that is missing",
    }.items():
        with pytest.raises(InputError, match=message):
            get_backbone(f"module/{rest}")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth does not fit module/.*norm\.weight"):
        get_backbone(f"module/{path}:plain@{tmp_path}/w.pth")
    path.write_text("def plain(:\n")
    with pytest.raises(InputError, match="line 1: SyntaxError"):
        get_backbone(f"module/{path}:plain")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": [0.2, 0.2, 0.2]}, "multiply both by 255"),
        ({"std": [0, 1, 1]}, "above 0"),
        ({"mean": [1, 2]}, "three numbers"),
        ({"mean": [1, 2, float("nan")]}, "three numbers"),
        ({"crop": 0}, "whole pixels"),
        ({"crop": 2.5}, "whole pixels"),
        ({"fit": "shorter"}, "must be one number"),
        ({"fit": "stretch"}, "fit='stretch' is unknown"),
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"crops": 3}, "did you mean 'crop'"),
        ({"std": None}, "three numbers"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    text = repr(OWN | change).replace("nan", 'float("nan")')
    with pytest.raises(InputError, match=message):
        get_backbone(f"module/{write(tmp_path, text)}:own")


def test_lacking_fields_and_no_dict_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks crop, interpolation, mean, std"):
        get_backbone(f"module/{write(tmp_path, {'resize': 3})}:own")
    with pytest.raises(InputError, match="must be a dict"):
        get_backbone(f"module/{write(tmp_path, 224)}:own")
