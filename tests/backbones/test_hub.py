"""Hubs: what is local is never asked for, what isn't fails fast and says what to do instead."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
import torch

from w2s_groups.backbones import hub
from w2s_groups.errors import InputError

huggingface_hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network whatever this machine has."""

    def refused(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path


def fill(cache: Path, repo: str, file: str, data: bytes, revision: str = "main") -> Path:
    """A file as huggingface_hub's cache holds it."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    (folder / "refs" / revision).write_text(commit)
    path = folder / "snapshots" / commit / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


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
