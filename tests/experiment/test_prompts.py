"""Zero-shot heads on cached features against open_clip's own classifier of whole images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import picture

from w2s_groups.backbones import get_backbone
from w2s_groups.backbones.open_clip_texts import prompted
from w2s_groups.core.errors import InputError
from w2s_groups.experiment.block import draw_of, run_block
from w2s_groups.experiment.pool import affine, standardise
from w2s_groups.experiment.prepare import prepare
from w2s_groups.heads.cosine import CosineHead
from w2s_groups.heads.outputs import decisions, probabilities
from w2s_groups.heads.solve import solve
from w2s_groups.methods.zero_shot import ZeroShot
from w2s_groups.schema.config import Config

open_clip = pytest.importorskip("open_clip")
Load = Callable[..., Config]
PROMPTS = [["a photo of a cat.", "a cat"], ["a photo of a dog.", "a dog"], ["a car", "the car"]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vit = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    trunk = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "image_size": 160}
    towers: dict[str, dict[str, Any]] = {
        "vit": vit,
        "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 32, "patch_size": None},
        "timm_linear": trunk | {"timm_pool": "token", "timm_proj": "linear"},
        "timm_mlp": trunk | {"timm_pool": "avg", "timm_proj": "mlp"},
    }
    for name, vision in towers.items():
        cfg = {"embed_dim": 48, "vision_cfg": vision, "text_cfg": text}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, f"Test-{name}", cfg)


@pytest.mark.parametrize("kind", ["vit", "resnet", "timm_linear"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_head_is_open_clips_classifier(kind: str, n_classes: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    name = f"Test-{kind}"
    model = open_clip.create_model(name)
    model.eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    spec = f"open_clip/{name}@{tmp_path / 'w.pt'}"
    images = [picture(90 + 7 * i, 211 - 9 * i) for i in range(6)]
    backbone = get_backbone(spec)
    raw = np.stack([backbone.forward(backbone.preprocess(im)[None]).numpy()[0] for im in images])
    raw[:, 3] = raw[0, 3]  # a feature that does not vary becomes 0 in the pool
    prompts = PROMPTS[:n_classes]
    with torch.inference_mode():
        tokens = [open_clip.get_tokenizer(name)(own) for own in prompts]
        texts = torch.stack([model.encode_text(own, normalize=True).mean(0) for own in tokens])
        texts = texts / texts.norm(dim=1, keepdim=True)
        found = _projected(model, torch.from_numpy(raw))
        images_ = found / found.norm(dim=1, keepdim=True)
        expected = (model.logit_scale.exp() * images_ @ texts.T).softmax(dim=1).numpy()
    rows = np.arange(6)
    mean, scale = affine(raw, rows)
    unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    head = CosineHead(mean, unit, *prompted(spec, None, prompts))
    logits = head.logits(standardise(raw, rows), rows)
    np.testing.assert_allclose(probabilities(head, logits), expected, atol=2e-4)
    assert decisions(head, logits).tolist() == expected.argmax(axis=1).tolist()


def _projected(model: Any, features: torch.Tensor) -> torch.Tensor:
    visual, found = model.visual, features
    if getattr(visual, "proj", None) is not None:
        found = features @ visual.proj
    elif hasattr(visual, "trunk"):
        found = visual.head(visual.trunk.get_classifier()(features))
    return found


def test_a_projection_that_is_not_linear_is_refused() -> None:
    with pytest.raises(InputError, match=r"Test-timm_mlp@none, and its is not linear"):
        prompted("open_clip/Test-timm_mlp@none", None, PROMPTS)


@pytest.mark.parametrize("bad", [[], ["a photo"], ["{} and {}"], "a {}"])
def test_templates_have_one_place_for_the_name(bad: Any) -> None:
    with pytest.raises(InputError, match=r"zero_shot\.templates"):
        ZeroShot(1e-3, bad)


def test_other_networks_are_refused_before_any_work(load: Load) -> None:
    with pytest.raises(InputError, match=r"^methods=zero_shot needs a network of images and texts"):
        prepare(load("methods=[teacher,zero_shot]", "data=gaussian"))


def test_a_run_tests_it_and_fits_nothing(
    load: Load, pictures: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    sources = [
        f"+data.{kind}={{{','.join(f'{name}: {folder}' for name, folder in of.items())}}}"
        for kind, of in pictures.items()
    ]
    cfg = load(
        *("data=composite", "data.name=pets", *sources, "data.n_pool=48", "data.n_test=20"),
        *("data.size=64", "image_size=64", "methods=[teacher,zero_shot]", "workers=0"),
        *("teacher=open_clip/Test-resnet@none", "student=open_clip/Test-vit@none", "seeds=[0]"),
        *("n_l=8", "n_u=8", "eta_l=0.5", "eta_u=0.5", f"cache_dir={tmp_path / 'cache'}"),
    )
    prepared = prepare(cfg)
    pool = prepared.pair(*cfg.pairs[0]).pool
    sides = []

    def watched(features: Any, problems: Any) -> Any:
        sides.extend(problem.side for problem in problems)
        return solve(features, problems)

    (ran,) = run_block(prepared.cells, pool, cfg.methods, watched)
    assert sides == ["teacher"]
    _, draws = draw_of(prepared.cells[0], pool, False)
    assert draws.prompted is not None
    assert draws.for_method(cfg.methods["teacher"]).prompted is None
    head = draws.prompted(("a photo of a {}.",))
    right = decisions(head, head.logits(pool.features["student"], pool.test)) == pool.y[pool.test]
    of_method = [r for r in ran.records if r["method"] == "zero_shot" and r["split"] == "test"]
    found = sum(r["value"] * r["n"] for r in of_method if r["value"] is not None)
    assert found == pytest.approx(right.sum())
