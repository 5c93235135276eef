"""Fixtures of the tests of networks."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
import torch


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network whatever this machine has."""

    def refused(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path
