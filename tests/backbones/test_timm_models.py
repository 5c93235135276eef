"""timm networks against timm's own transform and its own headless networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import picture

from w2s_groups.backbones import get_backbone, hub
from w2s_groups.core.errors import InputError

timm = pytest.importorskip("timm")


def features(spec: str, size: int | None = None, shape: tuple[int, int] = (150, 211)) -> np.ndarray:
    backbone = get_backbone(spec, size)
    return backbone.forward(backbone.preprocess(picture(*shape))[None]).numpy()[0]


def save(network: torch.nn.Module, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


# A ViT, a distilled one with two heads, a CNN, one whose head has a hidden layer, one that fx
# can't trace though it has batch normalisation, and a windowed one.
ARCHITECTURES = [
    "test_vit",
    "deit_tiny_distilled_patch16_224",
    "resnet18",
    "mobilenetv3_small_050",
    "mobilevit_xxs",
]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_weights_file_gives_what_timm_gives_for_the_same_picture(
    name: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    network = timm.create_model(name).eval()
    for module in network.modules():  # so that folding has something to fold
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = features(f"timm/{name}@{save(network, tmp_path / 'w.pth')}")
    config = timm.data.resolve_model_data_config(network)
    network.reset_classifier(0)
    with torch.inference_mode():
        x = timm.data.create_transform(**config, is_training=False)(picture(150, 211))
        expected = network(x[None])[0].numpy()
    assert ours.shape == expected.shape
    # Float32 sums in another order, normalisation by a product instead of a quotient.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop_mode": "squash", "crop_pct": 0.9},
        {"crop_mode": "border", "crop_pct": 0.9},
        {"input_size": (3, 64, 48), "interpolation": "bilinear"},
        {"input_size": (3, 64, 48), "crop_mode": "border"},
    ],
)
@pytest.mark.parametrize("shape", [(150, 211), (211, 150), (97, 96), (30, 40), (3, 200)])
def test_preprocessing_is_timms_for_every_crop_mode(
    changes: dict[str, object], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = timm.models.get_pretrained_cfg("resnet18")
    for key, value in {"test_input_size": None, **changes}.items():
        monkeypatch.setattr(cfg, key, value)
    monkeypatch.setattr(timm.models, "get_pretrained_cfg", lambda _: cfg)
    ours = get_backbone("timm/resnet18@none").preprocess(picture(*shape)).numpy()
    config = timm.data.resolve_data_config({}, pretrained_cfg=cfg.to_dict())
    transform = timm.data.create_transform(**config, is_training=False, normalize=False)
    expected = np.asarray(transform(picture(*shape)).permute(1, 2, 0))
    assert np.array_equal(ours, expected)


def test_a_random_network_is_the_same_every_time_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, two = features("timm/test_vit@none"), features("timm/test_vit.r160_in1k@none")
    assert np.array_equal(one, two)
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_size_resamples_the_position_embedding_to_whole_patches(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = timm.create_model("test_vit").eval()
    path = save(network, tmp_path / "w.pth")
    assert get_backbone(f"timm/test_vit@{path}", 90).image_size == 80
    other = timm.create_model("test_vit", img_size=80, num_classes=0).eval()
    with torch.no_grad():
        state = {k: v for k, v in network.state_dict().items() if not k.startswith("head")}
        state["pos_embed"] = timm.layers.resample_abs_pos_embed(state["pos_embed"], [5, 5])
        other.load_state_dict(state)
        x = torch.from_numpy(np.asarray(picture(80, 80)).copy()).permute(2, 0, 1)[None] / 255
        config = timm.data.resolve_model_data_config(network)
        mean, std = (torch.tensor(config[k])[:, None, None] for k in ("mean", "std"))
        expected = other((x - mean) / std)[0].numpy()
    ours = features(f"timm/test_vit@{path}", 90, (80, 80))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_classifier_of_other_classes_fits_and_anything_else_amiss_is_said(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = timm.create_model("test_vit", num_classes=2)
    assert features(f"timm/test_vit@{save(network, tmp_path / 'two.pth')}").shape == (64,)
    state = network.state_dict()
    del state["norm.weight"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"short\.pth does not fit timm/test_vit.*norm\.weight"):
        features(f"timm/test_vit@{tmp_path / 'short.pth'}")
    (tmp_path / "page.pth").write_bytes(b"<html>404</html>")
    with pytest.raises(InputError, match=r"page\.pth does not fit"):
        features(f"timm/test_vit@{tmp_path / 'page.pth'}")
    with pytest.raises(InputError, match=r"gone\.pth names a weights file that is missing"):
        features(f"timm/test_vit@{tmp_path / 'gone.pth'}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm/resnet81@none", "did you mean .*resnet18"),
        ("timm/resnet18.a9_in1k", "a1_in1k"),
        ("timm/resnet18@a9_in1k", "a1_in1k"),
        ("timm/resnet18.a1_in1k@a2_in1k", "two weights"),
        ("timm/coatnet_0_224", "no published weights"),
    ],
)
def test_unknown_names(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_backbone(spec)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"w2s_groups\[timm\]"):
        get_backbone("timm/resnet18")
