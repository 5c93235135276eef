"""Text encoders against transformers' own tokeniser and model; batches, padding, keys, faults."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_cache import fill

from w2s_groups.backbones import get_backbone, get_encoder
from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TextDataset
from w2s_groups.design.groups import Groups
from w2s_groups.features.extraction import TOLERANCE
from w2s_groups.features.texts import extract_texts
from w2s_groups.results import committed
from w2s_groups.schema.config import Config

transformers = pytest.importorskip("transformers")
from tiny_text import LIMIT, WORDS, make  # noqa: E402

TEXTS = (
    "the bird is on water .",
    "bad",
    "a good comment is never bad . the bird is on land . " * 4,  # more than LIMIT tokens
    "  the   unheard-of\nbird ",
    "water land water",
)
KINDS = ("bert", "distilbert", "roberta", "gpt2", "t5")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def dataset(texts: tuple[str, ...] = TEXTS, second: tuple[str, ...] | None = None) -> TextDataset:
    zeros = np.zeros(len(texts), dtype=np.int64)
    names = tuple(f"line {n + 2}" for n in range(len(texts)))
    groups = Groups(("no", "yes"), ("off", "on"))
    return TextDataset(
        "comments", zeros, zeros, zeros, groups, files=names, texts=texts, second=second
    )


def expected(model: Any, folder: Path, text: str, second: str | None) -> np.ndarray:
    """Mean of the last hidden states of one text alone, by the library."""
    tokeniser = transformers.AutoTokenizer.from_pretrained(folder)
    fed = tokeniser(text, second, truncation=True, max_length=LIMIT, return_tensors="pt")
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.inference_mode():
        return encoder(**fed).last_hidden_state[0].mean(0).numpy()


@pytest.mark.parametrize("second", [None, TEXTS[::-1]])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_librarys_in_any_batch(
    kind: str, second: tuple[str, ...] | None, tmp_path: Path
) -> None:
    model = make(kind, tmp_path / "model")
    encoder = get_encoder(f"hf/{tmp_path / 'model'}")
    own = np.stack(
        [
            expected(model, tmp_path / "model", text, second[row] if second else None)
            for row, text in enumerate(TEXTS)
        ]
    )
    scale = np.abs(own).max(axis=1, keepdims=True)
    for batch_size in (1, 2, 5):
        found = extract_texts(
            dataset(second=second), encoder, tmp_path / str(batch_size), batch_size=batch_size
        )
        assert found.matrix.shape == (len(TEXTS), encoder.width)
        assert (np.abs(found.matrix - own) <= 1e-4 * scale).all()


def test_padding_and_workers_change_nothing(tmp_path: Path) -> None:
    make("bert", tmp_path / "model")
    encoder = get_encoder(f"hf/{tmp_path / 'model'}")
    tokens = [encoder.tokens(text) for text in TEXTS]
    assert [t.shape[1] for t in tokens] == [8, 3, LIMIT, 7, 5]
    with torch.inference_mode():
        alone = torch.cat([encoder.network(encoder.batch([text])) for text in tokens])
        batch = encoder.network(encoder.batch(tokens))
        wide = torch.nn.functional.pad(encoder.batch(tokens[:1]), (0, 10))
        padded = encoder.network(wide)
    assert torch.allclose(alone, batch, rtol=0, atol=1e-5 * float(alone.abs().max()))
    assert torch.allclose(alone[:1], padded, rtol=0, atol=1e-5 * float(alone.abs().max()))
    texts = dataset(tuple(f"{word} {other}" for word in WORDS for other in WORDS))
    one, four = (
        extract_texts(texts, encoder, tmp_path / f"w{n}", workers=n, batch_size=7) for n in (1, 4)
    )
    assert np.array_equal(one.matrix, four.matrix)


@pytest.mark.parametrize("precision", list(TOLERANCE))
def test_precision_keeps_the_stated_tolerance(precision: str, tmp_path: Path) -> None:
    make("bert", tmp_path / "model")
    encoder = get_encoder(f"hf/{tmp_path / 'model'}")
    exact = extract_texts(dataset(), encoder, tmp_path / "exact").matrix
    scale = np.abs(exact).max(axis=1, keepdims=True)
    one, five = (
        extract_texts(
            dataset(), encoder, tmp_path / f"{n}", precision=precision, batch_size=n
        ).matrix
        for n in (1, 5)
    )
    assert (np.abs(one - five) <= TOLERANCE[precision] * scale).all()
    assert (np.abs(five - exact) <= TOLERANCE[precision] * scale).all()
    assert (np.abs(five - exact).max() > 1e-5) == (precision != "float32")


def test_an_encoder_whose_features_depend_on_padding_is_refused(tmp_path: Path) -> None:
    make("fnet", tmp_path)
    with pytest.raises(InputError, match="other features for a text that is padded"):
        get_encoder(f"hf/{tmp_path}").network  # noqa: B018


@pytest.mark.parametrize(
    ("mode", "row"), [("cls_token", 0), ("lasttoken", -1), ("mean_tokens", None)]
)
def test_the_pooling_is_the_folders_own(mode: str, row: int | None, tmp_path: Path) -> None:
    model = make("bert", tmp_path)
    modes = {f"pooling_mode_{name}": name == mode for name in ("cls_token", "mean_tokens")}
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **modes, f"pooling_mode_{mode}": True})
    )
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    encoder = get_encoder(f"hf/{tmp_path}")
    assert encoder.limit == 9
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path)(
        TEXTS[2], truncation=True, max_length=9, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state[0]
        found = encoder.network(encoder.batch([encoder.tokens(TEXTS[2]), encoder.tokens("bad")]))
    wanted = states.mean(0) if row is None else states[row]
    assert torch.allclose(found[0], wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))
    assert mode.partition("_")[0].replace("lasttoken", "last")[:4] in encoder.transform.replace(
        "class token", "cls"
    )
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(InputError, match="asks for pooling_mode_max_tokens, and one of"):
        get_encoder(f"hf/{tmp_path}")


def test_the_key_follows_texts_tokeniser_pooling_and_weights(tmp_path: Path) -> None:
    model = make("bert", tmp_path / "model")
    spec, texts, kept = f"hf/{tmp_path / 'model'}", dataset(), tmp_path / "cache"
    first = extract_texts(texts, get_encoder(spec), kept)
    again = extract_texts(texts, get_encoder(spec), kept)
    assert again.from_cache
    assert again.key == first.key
    assert isinstance(again.matrix, np.memmap)
    renamed = replace(texts, name="other", files=tuple("abcde"))
    assert extract_texts(renamed, get_encoder(spec), kept).from_cache
    keys = {first.key}
    for other in (
        dataset(TEXTS[::-1]),
        dataset((*TEXTS[:-1], "water land water ")),
        dataset(second=TEXTS),
    ):
        keys.add(extract_texts(other, get_encoder(spec), kept).key)
    folder = tmp_path / "model"
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"bird"', '"fish"'))
    keys.add(extract_texts(texts, get_encoder(spec), kept).key)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    keys.add(extract_texts(texts, get_encoder(spec), kept).key)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight += 1
    model.save_pretrained(folder)
    keys.add(extract_texts(texts, get_encoder(spec), kept).key)
    one, two = (extract_texts(texts, get_encoder(f"{spec}@none"), tmp_path / n) for n in "ab")
    assert np.array_equal(one.matrix, two.matrix)
    keys.add(one.key)
    assert len(keys) == 8


def test_texts_known_from_before_are_not_computed_again(tmp_path: Path) -> None:
    make("bert", tmp_path / "model")
    encoder = get_encoder(f"hf/{tmp_path / 'model'}")
    first = extract_texts(dataset(TEXTS[:4]), encoder, tmp_path / "cache")
    done: list[tuple[int, int]] = []
    more = extract_texts(
        dataset(TEXTS), encoder, tmp_path / "cache", progress=lambda *step: done.append(step)
    )
    assert done == [(1, 1)]
    assert np.array_equal(more.matrix[:4], first.matrix)


def test_empty_texts_are_bad_rows(tmp_path: Path) -> None:
    for kind in ("bert", "gpt2"):
        make(kind, tmp_path / kind)
        encoder = get_encoder(f"hf/{tmp_path / kind}")
        texts = dataset(("bad bird", "", "good", " \n "))
        with pytest.raises(InputError) as caught:
            extract_texts(texts, encoder, tmp_path / "cache")
        assert str(caught.value).startswith(
            "2 of 4 texts in comments can't be read: line 3 (empty text); line 5 (empty text); "
        )
        found = extract_texts(texts, encoder, tmp_path / "cache", on_bad_image="skip")
        assert [row for row, *_ in found.bad] == [1, 3]
        assert np.isnan(found.matrix[[1, 3]]).all()
        assert np.isfinite(found.matrix[[0, 2]]).all()


def test_a_name_is_served_by_the_cache_of_the_hub(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    make("bert", folder)
    for file in folder.iterdir():
        fill(cache, "owner/name", file.name, file.read_bytes())
    by_name = extract_texts(dataset(), get_encoder("hf/owner/name"), tmp_path / "a")
    by_folder = extract_texts(dataset(), get_encoder(f"hf/owner/name@{folder}"), tmp_path / "b")
    assert np.array_equal(by_name.matrix, by_folder.matrix)
    with pytest.raises(InputError, match=r"config\.json.*owner/other"):
        get_encoder("hf/owner/other")
    fill(cache, "owner/half", "config.json", (folder / "config.json").read_bytes())
    with pytest.raises(InputError, match=r"tokenizer_config\.json or .*owner/half.*can't be down"):
        get_encoder("hf/owner/half")
    with pytest.raises(InputError, match="reads texts and the data set holds images"):
        get_backbone("hf/owner/name")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    make("bert", tmp_path)
    spec = f"hf/{tmp_path}"
    with pytest.raises(InputError, match="reads texts and the data set holds images; name an"):
        get_backbone(spec)
    for image in ("packaged/squeezenet1_1", "torchvision/resnet18", "timm/resnet18@none"):
        with pytest.raises(InputError, match="reads images and the data set holds texts; name"):
            get_encoder(image)
    with pytest.raises(InputError, match="text encoder='bert-base' is unknown"):
        get_encoder("bert-base")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"lacks 16 of the model's weights, such as encoder"):
        get_encoder(spec).network  # noqa: B018
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 0}))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="is not a text model's folder"):
        get_encoder(spec)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="add the weights"):
        get_encoder(spec)
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=r"has no tokenizer_config\.json; save_pretrained"):
        get_encoder(spec)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(InputError, match="reads images and the data set holds texts; name a text"):
        get_encoder(spec)


def test_more_tokens_than_a_model_can_take_is_said_at_once(tmp_path: Path) -> None:
    make("roberta", tmp_path)
    said = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said | {"model_max_length": 99}))
    with pytest.raises(InputError, match=r"can't take a text of 25 tokens .*set model_max_length"):
        get_encoder(f"hf/{tmp_path}").network  # noqa: B018


def write_comments(root: Path) -> None:
    """64 comments of the pool and 32 of the test: one word shows the class, one the attribute."""
    rng = stream(0, "test/comments")
    rows = ["comment,label,place,split"]
    for i in range(96):
        y, a = i % 2, i // 2 % 2
        words = [*rng.choice(np.array(WORDS[:5]), 3), ("bad", "good")[y], ("land", "water")[a]]
        rows.append(f'"{" ".join(words)},\n{i}",{y},{a},{0 if i < 64 else 2}')
    root.mkdir()
    (root / "comments.csv").write_text("\n".join(rows) + "\n")


def test_a_run_on_texts(
    load: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_comments(tmp_path / "data")
    for kind in ("bert", "distilbert"):
        make(kind, tmp_path / kind)
    overrides = (
        *("data=metadata_csv", "data.name=comments", f"data.root={tmp_path / 'data'}"),
        *("data.table=comments.csv", "data.text_columns=[comment]", "data.y_column=label"),
        *("data.a_column=place", "data.class_names=[bad,good]", "seeds=[0,1]", "n_l=8", "n_u=16"),
        *("eta_l=0.25", "eta_u=[0.25,0.5]", f"cache_dir={tmp_path / 'cache'}"),
        *(f"results_dir={tmp_path / 'results'}", f"reports_dir={tmp_path / 'reports'}"),
        *(f"teacher=hf/{tmp_path / 'distilbert'}", "methods=[teacher,w2s,ceiling]"),
    )
    cfg = load(*overrides, f"student=hf/{tmp_path / 'bert'}")
    with monkeypatch.context() as patch:  # the groups are counted without a tokeniser
        patch.setattr(transformers.AutoTokenizer, "from_pretrained", None)
        assert np.bincount(cfg.data.load(tmp_path).codes).tolist() == [24] * 4
    assert not run.run(cfg).failed
    sheet = (tmp_path / "reports/leaderboard/comments/samples.txt").read_text().splitlines()
    assert sheet[0] == "comments: 96 texts"
    for y, a, few in ((0, 0, ""), (0, 1, ", minority"), (1, 0, ", minority"), (1, 1, "")):
        words = ("bad", "good")[y], ("land", "water")[a]
        top = sheet.index(f"{words[0]}-on-{'01'[a]}{few}: 24 texts".replace("-on-", "-on-a"))
        for line in sheet[top + 1 : top + 7]:
            number = int(line.rsplit(" ", 1)[1])
            assert f" {words[0]} {words[1]}, {number}" in line
            assert line.startswith(f"  line {2 + 2 * number}: ")  # two lines a comment
    table = committed.read(tmp_path / "reports/leaderboard/comments")
    test = table[(table.split == "test") & (table.metric == "accuracy")]
    assert (test.n == 8).all()
    assert test[test.method == "ceiling"].value.mean() > 0.9
    with pytest.raises(InputError, match="reads images and the data set holds texts"):
        run.run(load(*overrides, "student=packaged/squeezenet1_1"))
    np.save(tmp_path / "features.npy", np.eye(96, 4, dtype=np.float32))
    by_file = load(*overrides, f"student=file/{tmp_path}/features.npy", "seeds=0")
    assert not run.run(by_file).failed


def test_batches_hold_texts_of_as_many_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many characters a token has: "never" and "a" are one token each."""
    make("bert", tmp_path / "model")
    encoder = get_encoder(f"hf/{tmp_path / 'model'}")
    words = [("never " * n, "a " * n, "land " * n) for n in range(1, 9)]
    fed: list[list[int]] = []
    batch = type(encoder).batch
    monkeypatch.setattr(
        type(encoder),
        "batch",
        lambda own, samples: fed.append([s.shape[1] for s in samples]) or batch(own, samples),
    )
    extract_texts(dataset(tuple(sum(words, ()))), encoder, tmp_path / "cache", batch_size=3)
    assert sorted(lengths for lengths in fed if len(lengths) == 3) == [
        [n + 2] * 3 for n in range(1, 9)
    ]
