"""Small random text models with tokenisers of their own, in transformers' layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("a", "the", "bird", "is", "on", "water", "land", "good", "bad", "never", "comment", ".")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LIMIT = 24
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def tokeniser(special: bool = True, inputs: tuple[str, ...] = ("token_type_ids",)) -> Any:
    """Words as tokens. special: a text goes between [CLS] and [SEP]; else no token is added."""
    vocabulary = {token: n for n, token in enumerate((*SPECIAL, *WORDS))}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"} if special else {}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="[UNK]",
        model_max_length=LIMIT,
        model_input_names=["input_ids", *inputs, "attention_mask"],
        **names,
    )


def make(kind: str, folder: Path) -> Any:
    """A model of a kind, saved with its tokeniser."""
    torch.manual_seed(1)
    size = len(WORDS) + len(SPECIAL)
    own: dict[str, Any] = {"special": kind != "gpt2", "inputs": ()}
    if kind == "bert":
        own["inputs"] = ("token_type_ids",)
        model: Any = transformers.BertModel(
            transformers.BertConfig(
                vocab_size=size, max_position_embeddings=LIMIT, intermediate_size=48, **SIZES
            )
        )
    elif kind == "distilbert":
        model = transformers.DistilBertModel(
            transformers.DistilBertConfig(
                vocab_size=size, max_position_embeddings=LIMIT, dim=32, n_layers=2, n_heads=2,
                hidden_dim=48,
            )
        )  # fmt: skip
    elif kind == "roberta":
        model = transformers.RobertaModel(
            transformers.RobertaConfig(
                vocab_size=size, max_position_embeddings=LIMIT + 1, intermediate_size=48,
                pad_token_id=0, type_vocab_size=1, **SIZES,
            )
        )  # fmt: skip
    elif kind == "gpt2":
        model = transformers.GPT2Model(
            transformers.GPT2Config(
                vocab_size=size, n_positions=LIMIT, n_embd=32, n_layer=2, n_head=2
            )
        )
    elif kind == "t5":
        model = transformers.T5Model(
            transformers.T5Config(
                vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=2,
                decoder_start_token_id=0,
            )
        )  # fmt: skip
    else:
        model = transformers.FNetModel(
            transformers.FNetConfig(
                vocab_size=size, max_position_embeddings=LIMIT, hidden_size=32,
                num_hidden_layers=2, intermediate_size=48,
            )
        )  # fmt: skip
    model.eval().save_pretrained(folder)
    tokeniser(**own).save_pretrained(folder)
    return model
