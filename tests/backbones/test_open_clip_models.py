"""open_clip's image towers against open_clip's own transform and encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import picture

from w2s_groups.backbones import get_backbone, hub, open_clip_models
from w2s_groups.core.errors import InputError

open_clip = pytest.importorskip("open_clip")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of tower that open_clip can build, small; registered as its own ones are."""
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vit = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    trunk = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "image_size": 160}
    towers: dict[str, dict[str, Any]] = {
        "vit": vit,
        "coca": vit | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 32, "patch_size": None},
        "timm_linear": trunk | {"timm_pool": "token", "timm_proj": "linear"},
        "timm_none": trunk | {"timm_pool": "token", "timm_proj": None},
        "timm_mlp": trunk | {"timm_pool": "avg", "timm_proj": "mlp"},
    }
    for name, vision in towers.items():
        cfg = {"embed_dim": 48, "vision_cfg": vision, "text_cfg": text}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, f"Test-{name}", cfg)


def features(spec: str, size: int | None = None, shape: tuple[int, int] = (150, 211)) -> np.ndarray:
    backbone = get_backbone(spec, size)
    return backbone.forward(backbone.preprocess(picture(*shape))[None]).numpy()[0]


def projection(model: Any) -> Any:
    """What open_clip puts on top of the features: (width,) -> (48,)."""
    visual = model.visual
    if getattr(visual, "proj", None) is not None:
        return lambda f: f @ visual.proj
    if not hasattr(visual, "trunk"):
        return lambda f: f
    return lambda f: visual.head(visual.trunk.get_classifier()(f))


@pytest.mark.parametrize("kind", ["vit", "coca", "resnet", "timm_linear", "timm_none", "timm_mlp"])
def test_projected_features_are_open_clips_image_embedding(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, _, transform = open_clip.create_model_and_transforms(f"Test-{kind}")
    model.eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    ours = features(f"open_clip/Test-{kind}@{tmp_path / 'w.pt'}")
    with torch.inference_mode():
        x = transform(picture(150, 211))[None]
        embedding = model.encode_image(x, normalize=False)
        if kind == "coca":  # gives the tokens for the caption too
            embedding = embedding[0]
        expected = embedding[0].numpy()
        found = projection(model)(torch.from_numpy(ours)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resize_mode": "squash", "interpolation": "bilinear"},
        {"resize_mode": "longest", "fill_color": 7},
        {"size": (64, 48)},
        {"size": (64, 48), "resize_mode": "longest"},
    ],
)
@pytest.mark.parametrize("shape", [(150, 211), (211, 150), (97, 96), (30, 40), (3, 200)])
def test_preprocessing_is_open_clips_for_every_resize_mode(
    changes: dict[str, Any], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = open_clip.transform.PreprocessCfg(**{"size": 64, **changes})
    vision = {"image_size": cfg.size, "layers": 2, "patch_size": 16}
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: {"vision_cfg": vision})
    overlay = {k: v for k, v in changes.items() if k != "size"}
    ours = open_clip_models._preprocessing("Test-vit", overlay, None)[0].pixels(picture(*shape))
    transform = open_clip.transform.image_transform_v2(cfg, is_train=False)
    mean, std = (torch.tensor(v)[:, None, None] for v in (cfg.mean, cfg.std))
    expected = ((transform(picture(*shape)) * std + mean) * 255).permute(1, 2, 0)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-3)


def test_a_tag_brings_its_weights_its_input_and_its_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = open_clip.create_model("Test-vit", force_quick_gelu=True).eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    cfg = {"hf_hub": "some/repo/", "quick_gelu": True, "mean": (0.5,) * 3, "resize_mode": "squash"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Test-vit", {"tag": cfg})
    asked: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(
        hub, "hf_file", lambda _, repo, names: asked.append((repo, names)) or tmp_path / "w.pt"
    )
    backbone = get_backbone("open_clip/Test-vit@tag")
    names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    assert asked == [("some/repo", names)]
    assert backbone.preprocessing.fit == "squash"
    assert backbone.preprocessing.mean == (127.5,) * 3
    pixels = backbone.preprocess(picture())
    mean, std = (torch.tensor(v) for v in (backbone.preprocessing.mean, backbone.preprocessing.std))
    with torch.inference_mode():
        expected = model.encode_image(((pixels - mean) / std).permute(2, 0, 1)[None])[0].numpy()
        found = (backbone.forward(pixels[None]) @ model.visual.proj)[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_random_network_is_the_same_every_time_and_another_size_whole_patches() -> None:
    before = torch.random.get_rng_state()
    one, two = (features("open_clip/Test-vit@none", 90) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == (64,)
    assert torch.equal(before, torch.random.get_rng_state())
    assert get_backbone("open_clip/Test-vit@none", 90).image_size == 80
    assert features("open_clip/Test-timm_linear@none", 90).shape == (64,)


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.pt").write_bytes(b"<html>404</html>")
    for spec, message in {
        "open_clip/ViT-B-23@none": "did you mean .*ViT-B-32",
        "open_clip/ViT-B-32": "@TAG with one of .*laion2b_s34b_b79k",
        "open_clip/ViT-B-32@laion2b_s34b_b97k": "did you mean 'laion2b_s34b_b79k'",
        f"open_clip/Test-vit@{tmp_path}/gone.pt": r"gone\.pt names a weights file",
        f"open_clip/Test-vit@{tmp_path}/page.pt": r"can't be made from .*page\.pt",
    }.items():
        with pytest.raises(InputError, match=message):
            get_backbone(spec).network  # noqa: B018
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"w2s_groups\[open_clip\]"):
        get_backbone("open_clip/ViT-B-32@none")
