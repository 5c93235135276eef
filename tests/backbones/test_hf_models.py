"""Models in the Hugging Face layout against transformers' own processor and model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_cache import fill
from pictures import picture

from w2s_groups.backbones import get_backbone, hf_models, hub
from w2s_groups.core.errors import InputError

transformers = pytest.importorskip("transformers")

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 64,
    "patch_size": 16,
}


def make(kind: str, folder: Path) -> Any:
    """A small random model of a kind with the image processor that such models have."""
    torch.manual_seed(1)
    if kind == "vit":
        model = transformers.ViTModel(transformers.ViTConfig(**TINY))
        processor = transformers.ViTImageProcessorPil(size={"height": 64, "width": 64})
    elif kind == "dinov2":
        model = transformers.Dinov2Model(transformers.Dinov2Config(**TINY))
        processor = transformers.BitImageProcessorPil(
            size={"shortest_edge": 73}, crop_size={"height": 64, "width": 64}, resample=3
        )
    elif kind == "convnext":
        model = transformers.ConvNextModel(
            transformers.ConvNextConfig(hidden_sizes=[8, 16, 16, 24], depths=[1, 1, 1, 1])
        )
        processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 64})
    elif kind == "resnet":
        model = transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        )
        processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 384})
    else:
        text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = transformers.CLIPModel(
            transformers.CLIPConfig(vision_config=TINY, text_config=text, projection_dim=24)
        )
        processor = transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
        )
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def features(spec: str, size: int | None = None, shape: tuple[int, int] = (150, 211)) -> np.ndarray:
    backbone = get_backbone(spec, size)
    return backbone.forward(backbone.preprocess(picture(*shape))[None]).numpy()[0]


def own(folder: Path, shape: tuple[int, int]) -> torch.Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(picture(*shape), return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("kind", ["vit", "dinov2", "convnext", "resnet", "clip"])
@pytest.mark.parametrize("shape", [(150, 211), (97, 96)])
def test_a_folder_gives_what_transformers_gives_for_the_same_picture(
    kind: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    model = make(kind, tmp_path)
    ours = features(f"hf/owner/name@{tmp_path}", shape=shape)
    with torch.inference_mode():
        if kind == "clip":
            expected = model.vision_model(own(tmp_path, shape)).pooler_output
            embedding = model.get_image_features(own(tmp_path, shape)).pooler_output
            projected = model.visual_projection(torch.from_numpy(ours)[None])
            assert torch.allclose(projected, embedding, atol=1e-4)
        else:
            expected = model(own(tmp_path, shape)).pooler_output
    expected = expected.flatten().numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_pooling_layer_that_the_files_lack_is_not_drawn_but_left_out(tmp_path: Path) -> None:
    torch.manual_seed(1)
    make("vit", tmp_path)  # for the processor
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY)).eval()
    model.save_pretrained(tmp_path)
    ours = features(f"hf/{tmp_path}")
    with torch.inference_mode():
        logits = model(own(tmp_path, (150, 211))).logits[0].numpy()
        found = model.classifier(torch.from_numpy(ours)).numpy()
    np.testing.assert_allclose(found, logits, rtol=0, atol=1e-4 * np.abs(logits).max())


def test_the_cache_of_the_hub_serves_a_name_or_a_revision(cache: Path, tmp_path: Path) -> None:
    make("vit", tmp_path / "vit")
    for file in (tmp_path / "vit").iterdir():
        fill(cache, "owner/name", file.name, file.read_bytes())
        fill(cache, "owner/name", file.name, file.read_bytes(), "v2")
    expected = features(f"hf/owner/name@{tmp_path / 'vit'}")
    assert np.array_equal(features("hf/owner/name"), expected)
    assert np.array_equal(features("hf/owner/name@v2"), expected)
    with pytest.raises(InputError, match=r"config\.json.*owner/other.*packaged/squeezenet1_1"):
        get_backbone("hf/owner/other")


def test_weights_in_parts_count_in_the_key(tmp_path: Path) -> None:
    model = make("vit", tmp_path)
    whole = features(f"hf/{tmp_path}")
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert np.array_equal(features(f"hf/{tmp_path}"), whole)
    before = get_backbone(f"hf/{tmp_path}").weights_hash
    with torch.no_grad():
        model.layernorm.bias += 1
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert get_backbone(f"hf/{tmp_path}").weights_hash != before
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(InputError, match="which is missing"):
        get_backbone(f"hf/{tmp_path}")


def test_a_random_network_is_the_same_every_time_and_another_size_whole_patches(
    tmp_path: Path,
) -> None:
    make("vit", tmp_path)
    before = torch.random.get_rng_state()
    one, two = (features(f"hf/{tmp_path}@none", 90) for _ in range(2))
    assert np.array_equal(one, two)
    assert torch.equal(before, torch.random.get_rng_state())
    backbone = get_backbone(f"hf/{tmp_path}", 90)
    assert backbone.image_size == 80
    model = transformers.ViTModel.from_pretrained(tmp_path).eval()
    pixels = backbone.preprocess(picture(80, 80)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        expected = model(pixels / 127.5 - 1, interpolate_pos_encoding=True).pooler_output[0].numpy()
    found = features(f"hf/{tmp_path}", 90, (80, 80))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("vit", tmp_path)
    spec = f"hf/owner/name@{tmp_path}"
    with pytest.raises(InputError, match="names a folder that is missing"):
        get_backbone(f"hf/owner/name@{tmp_path}/gone")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"lacks \d+ of the model's weights, such as"):
        get_backbone(spec).network  # noqa: B018
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not an image model's folder"):
        get_backbone(spec)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"<html>404</html>")
    with pytest.raises(InputError, match="can't be loaded"):
        get_backbone(spec).network  # noqa: B018
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="add the weights"):
        get_backbone(spec)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"has no preprocessor_config\.json"):
        get_backbone(spec)
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"w2s_groups\[hf\]"):
        get_backbone(spec)


def test_an_image_processor_with_steps_of_its_own_is_refused() -> None:
    for processor in (
        transformers.EfficientNetImageProcessorPil(),
        transformers.BitImageProcessorPil(do_center_crop=False),
        transformers.ViTImageProcessorPil(do_resize=False),
    ):
        with pytest.raises(InputError, match=r"module/FILE\.py:FACTORY"):
            hf_models.said_by("hf/x", processor)
