"""Files of a model on the Hugging Face hub, or in a folder of its layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from w2s_groups.backbones import hub
from w2s_groups.core.errors import InputError

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
TOKENISER = (  # the files that different tokenisers are made of
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "special_tokens_map.json"),
    "added_tokens.json",
)
TEXT_FILES = ("1_Pooling/config.json", "sentence_bert_config.json")  # of sentence-transformers
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # and, in parts, each with .index.json


def located(name: str, weights: str | None, reads: str) -> tuple[str, Path, list[Path], bool]:
    """The name in full, the folder of the files, those that make the network, whether it is random.

    reads: "images" or "texts", which the model has to be of.
    """
    spec = f"hf/{name}" + (f"@{weights}" if weights else "")
    hub.need(spec, "transformers", "hf")
    random = weights == "none"
    local = Path(weights) if weights and not random and hub.is_path(weights) else Path(name)
    if weights and not random and hub.is_path(weights) and not local.is_dir():
        raise InputError(f"{spec} names a folder that is missing")
    if local.is_dir():
        return spec, local, _files(spec, local, random, reads), random
    folder, files = _from_hub(spec, name, None if random else weights, random, reads)
    return spec, folder, files, random


def _check_kind(spec: str, folder: Path, reads: str) -> None:
    """InputError if a folder is one of a model that plainly reads the other kind of data."""
    has = {
        "images": (folder / PROCESSOR).is_file(),
        "texts": any((folder / file).is_file() for file in TOKENISER),
    }
    other = "texts" if reads == "images" else "images"
    if has[other] and not has[reads]:
        remedy = "an image network" if reads == "images" else "a text encoder"
        raise InputError(
            f"{spec} reads {other} and the data set holds {reads}; name {remedy} as teacher and "
            "student (docs/adding-a-backbone.md)"
        )


def _files(spec: str, folder: Path, random: bool, reads: str) -> list[Path]:
    """The configuration and the weights files of a folder."""
    _check_kind(spec, folder, reads)
    needed = (CONFIG, PROCESSOR) if reads == "images" else (CONFIG, "tokenizer_config.json")
    part = "image processor" if reads == "images" else "tokeniser"
    for file in needed:
        if not (folder / file).is_file():
            raise InputError(
                f"{spec}: {folder} has no {file}; save_pretrained of the model and of its {part} "
                "write everything that is needed"
            )
    if random:
        return [folder / CONFIG]
    for file in WEIGHTS:
        index = folder / f"{file}.index.json"
        if (folder / file).is_file():
            return [folder / CONFIG, folder / file]
        if index.is_file():
            parts = [folder / part for part in _parts(index)]
            for path in parts:
                if not path.is_file():
                    raise InputError(f"{spec}: {index} names {path.name}, which is missing")
            return [folder / CONFIG, *parts]
    raise InputError(f"{spec}: {folder} has none of {', '.join(WEIGHTS)}; add the weights")


def _from_hub(
    spec: str, repo: str, revision: str | None, random: bool, reads: str
) -> tuple[Path, list[Path]]:
    """The folder of a repository in the local cache, with what is needed in it."""
    config = hub.hf_file(spec, repo, (CONFIG,), revision)
    if reads == "images":
        _check_kind(spec, config.parent, reads)
        hub.hf_file(spec, repo, (PROCESSOR,), revision)
    else:
        hub.hf_files_there(repo, (*TOKENISER, *TEXT_FILES, PROCESSOR), revision)
        _check_kind(spec, config.parent, reads)
        hub.hf_file(spec, repo, ("tokenizer_config.json", *TOKENISER), revision)
    if random:
        return config.parent, [config]
    names = [name for file in WEIGHTS for name in (file, f"{file}.index.json")]
    weights = hub.hf_file(spec, repo, names, revision)
    if weights.suffix != ".json":
        return config.parent, [config, weights]
    parts = [hub.hf_file(spec, repo, (part,), revision) for part in _parts(weights)]
    return config.parent, [config, *parts]


def _parts(index: Path) -> list[str]:
    return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))


def pretrained(spec: str, folder: Path) -> tuple[Any, set[str]]:
    """The model of a folder, and the names of those weights that the files lack, which are random.

    Raises InputError for files that transformers can't load.
    """
    from transformers import AutoModel

    try:
        with hub.seeded(0), _no_bar():
            model, report = AutoModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # safetensors, pickle and transformers have some ten kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{spec}: {folder} can't be loaded ({reason}); save it again with save_pretrained"
        ) from error
    return model, {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}


@contextmanager
def _no_bar() -> Iterator[None]:
    """Keeps transformers from drawing a bar, which takes longer to read than the weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def refuse_lacking(spec: str, folder: Path, lacking: Sequence[str]) -> None:
    """InputError for weights that the features need and the files lack."""
    if lacking:
        raise InputError(
            f"{spec}: {folder} lacks {len(lacking)} of the model's weights, such as {lacking[0]}; "
            "its config.json and its weights belong to different models"
        )
