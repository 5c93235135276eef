"""Text encoders of the Hugging Face hub, or of a folder in its layout.

The features are pooled from the last hidden states, special tokens included: as the folder's
1_Pooling/config.json says where there is one (sentence-transformers' own file: mean, class token
or last token), and their mean over the text's tokens otherwise. A pooling layer on top, trained for
another task or not at all, is left out. Of an encoder and a decoder the encoder is taken.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones import hf_files, hub, onednn
from w2s_groups.backbones.text import TextEncoder
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash

POOLING, LENGTH = "1_Pooling/config.json", "sentence_bert_config.json"
MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "class token",
    "pooling_mode_lasttoken": "last token",
}
LONGEST = 512  # tokens, where a tokeniser and a model name no number of their own


def get(name: str, weights: str | None) -> TextEncoder:
    """Encoder of hf/NAME[@WEIGHTS]; see w2s_groups.backbones.get_encoder."""
    spec, folder, files, random = hf_files.located(name, weights, "texts")
    if random:
        import transformers

        seed, drawn = hub.random_weights(name, transformers)
        return of_folder(spec, folder, f"{drawn}, {content_hash(files[0])}", seed)
    digest = hashlib.sha256("\0".join(map(content_hash, files)).encode()).hexdigest()
    return of_folder(spec, folder, digest)


def of_folder(spec: str, folder: Path, digest: str, seed: int | None = None) -> TextEncoder:
    """Encoder of a folder with a model and its tokeniser.

    digest: stands for the weights. seed: of random weights; None for the folder's own.
    """
    tokeniser, config, files_of = _tokeniser(spec, folder)
    limit, pooling = _limit(tokeniser, config, folder), _pooling(spec, folder)
    said = (
        f"tokeniser {files_of}, cut at {limit} tokens, pairs from their longer half, padded on the "
        f"right; {pooling} of the last hidden states"
    )
    segments = "token_type_ids" in tokeniser.model_input_names
    load = partial(_load, spec, folder, pooling, segments, seed)
    return TextEncoder(spec, digest, load, tokeniser, limit, said)


def _tokeniser(spec: str, folder: Path) -> tuple[Any, Any, str]:
    """The tokeniser, the model's configuration, and a digest of the tokeniser's files."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokeniser = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers has many kinds for a file it can't use
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{spec}: {folder} is not a text model's folder ({reason})") from error
    files = [folder / file for file in hf_files.TOKENISER if (folder / file).is_file()]
    digest = hashlib.sha256("\0".join(content_hash(path) for path in files).encode())
    return tokeniser, config, digest.hexdigest()[:16]


def _limit(tokeniser: Any, config: Any, folder: Path) -> int:
    """Tokens of the longest text: the least that tokeniser, model and LONGEST allow."""
    limits = [LONGEST, int(tokeniser.model_max_length)]
    text = getattr(config, "text_config", config)
    limits.append(int(getattr(text, "max_position_embeddings", None) or LONGEST))
    if (folder / LENGTH).is_file():
        own = json.loads((folder / LENGTH).read_bytes()).get("max_seq_length")
        limits.append(int(own or LONGEST))
    return min(n for n in limits if n > 0)


def _pooling(spec: str, folder: Path) -> str:
    """How the folder pools: "mean", "class token" or "last token"."""
    path = folder / POOLING
    if not path.is_file():
        return "mean"
    modes = json.loads(path.read_bytes())
    said = [mode for mode, on in modes.items() if "pooling_mode" in mode and on is True]
    if len(said) != 1 or said[0] not in MODES:
        raise InputError(
            f"{spec}: {path} asks for {', '.join(said) or 'no pooling'}, and one of "
            f"{', '.join(MODES)} can be done; compute its features yourself and name them as "
            "file/FEATURES.npy"
        )
    return MODES[said[0]]


def _load(spec: str, folder: Path, pooling: str, segments: bool, seed: int | None) -> nn.Module:
    """The network, of random weights if there is a seed."""
    from transformers import AutoConfig, AutoModel

    if seed is not None:
        with hub.seeded(seed):
            model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
        return Pooled(_texts(model), pooling, segments)
    model, drawn = hf_files.pretrained(spec, folder)
    network = _texts(model)
    used = {id(parameter) for parameter in network.parameters()}
    lacking = sorted(
        name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if name in drawn and id(parameter) in used and "pooler" not in name.split(".")
    )
    hf_files.refuse_lacking(spec, folder, lacking)
    return Pooled(network, pooling, segments)


def _texts(model: Any) -> Any:
    """The part of a model that reads texts."""
    if hasattr(model, "text_model"):
        return model.text_model
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    return model


class Pooled(nn.Module):
    """(B, 3, L) ids, mask and segments -> (B, width).

    segments: whether the tokeniser makes them; some networks read zeros as something to be added.
    """

    def __init__(self, model: Any, pooling: str, segments: bool) -> None:
        super().__init__()
        self.model, self.pooling = model, pooling
        takes = "token_type_ids" in inspect.signature(model.forward).parameters
        self.segments = segments and takes

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, width) pooled features of (B, 3, L) tokens."""
        ids, mask, segments = batch.unbind(1)
        options = {"token_type_ids": segments} if self.segments else {}
        with onednn.products(batch.device):
            states: torch.Tensor = self.model(
                input_ids=ids, attention_mask=mask, **options
            ).last_hidden_state
        states = states.float()
        if self.pooling == "class token":
            return states[:, 0]
        if self.pooling == "last token":
            return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        weight = mask.unsqueeze(-1).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)
