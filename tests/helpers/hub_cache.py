"""Files as the hub's cache holds them."""

from __future__ import annotations

from pathlib import Path


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
