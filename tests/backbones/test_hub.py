"""Hubs: what is local is never asked for, what isn't fails fast and says what to do instead."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
from hub_cache import fill

from w2s_groups.backbones import hub
from w2s_groups.core.errors import InputError

huggingface_hub = pytest.importorskip("huggingface_hub")


def test_what_is_local_is_taken_without_a_question(cache: Path) -> None:
    fill(cache, "some/repo", "pytorch_model.bin", b"x")
    found = hub.hf_file("timm/x", "some/repo", ("model.safetensors", "pytorch_model.bin"))
    assert found.read_bytes() == b"x"
    (cache / "torch" / "checkpoints").mkdir(parents=True)
    (cache / "torch" / "checkpoints" / "w.pth").write_bytes(b"y")
    assert hub.torch_file("timm/x", "https://host/w.pth", None).read_bytes() == b"y"


def test_what_is_not_local_names_the_packaged_networks(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"some/repo.*service not known.*packaged/squeezenet1_1"):
        hub.hf_file("timm/x", "some/repo", ("model.safetensors",))
    with pytest.raises(InputError, match=r"w\.pth.*service not known.*packaged/squeezenet1_1"):
        hub.torch_file("timm/x", "https://host/w.pth", None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        hub.hf_file("timm/x", "some/repo", ("model.safetensors",))


def test_a_hub_that_never_answers_is_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: time.sleep(5))
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"no answer within 0\.2 s.*packaged/"):
        hub.hf_file("timm/x", "some/repo", ("model.safetensors",))
    assert time.monotonic() - start < 2
