"""What a text encoder is: an identity known without loading it, its tokeniser, its network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones.base import Encoder
from w2s_groups.core.errors import InputError

# Features of one text with and without padding, relative to its largest: sums in another order.
PADDING = 1e-4


@dataclass(frozen=True, eq=False)
class TextEncoder(Encoder):
    """A network of texts up to the pooling of its last hidden states.

    It takes (B, 3, L) int64: ids, mask (1 token, 0 padding), segments. tokeniser: a transformers
    tokeniser. limit: tokens at which a text is cut. said: tokeniser, longest text and pooling in
    words.
    """

    tokeniser: Any
    limit: int
    said: str
    # A tokeniser keeps its truncation as a state, so that two threads may not use it at a time.
    lock: Any = field(default_factory=threading.Lock)

    @property
    def transform(self) -> str:
        """Tokeniser, longest text and pooling in words."""
        return self.said

    def tokens(self, text: str, second: str | None = None) -> torch.Tensor:
        """(3, L) of a text, or of a pair. ValueError where nothing of it is a token."""
        pair = {} if second is None else {"text_pair": second}
        with self.lock:
            encoded = self.tokeniser(
                text, **pair, truncation="longest_first", max_length=self.limit, verbose=False
            )
        ids = list(encoded["input_ids"])
        if not ids:
            raise ValueError("no token of the text is known")
        segments = encoded.get("token_type_ids") or [0] * len(ids)
        return torch.tensor([ids, [1] * len(ids), segments])

    def batch(self, samples: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, 3, L) of B texts, padded on the right to the longest of them."""
        longest = max(text.shape[1] for text in samples)
        padded = torch.zeros(len(samples), 3, longest, dtype=torch.int64)
        padded[:, 0] = self.tokeniser.pad_token_id or 0
        for row, text in zip(padded, samples, strict=True):
            row[:, : text.shape[1]] = text
        return padded

    @cached_property
    def network(self) -> nn.Module:
        """The network on the CPU, tried.

        Raises InputError if padding changes a text's features, or if the network can't take a text
        of `limit` tokens.
        """
        network = self.load().eval().requires_grad_(False)
        try:
            short = self._of_length(min(4, self.limit))
            with torch.inference_mode():
                network(self.batch([self._of_length(self.limit)]))
                unpadded = network(self.batch([short]))
                padded = network(self.batch([short, self._of_length(min(9, self.limit))]))[:1]
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.name} can't take a text of {self.limit} tokens ({reason}); set "
                "model_max_length in its tokenizer_config.json to what it was trained with"
            ) from error
        if not (padded - unpadded).abs().max() <= PADDING * unpadded.abs().max():
            raise InputError(
                f"{self.name} gives other features for a text that is padded, so that they would "
                "depend on the other texts of its batch; name another encoder, or compute its "
                "features yourself and name them as file/FEATURES.npy"
            )
        return network

    def blank(self) -> torch.Tensor:
        """(1, 3, 2): two tokens."""
        return self.batch([self._of_length(2)])

    def _of_length(self, length: int) -> torch.Tensor:
        """(3, length): the tokens of some text, repeated."""
        ids = list(self.tokeniser("It is one of the two.", verbose=False)["input_ids"]) or [0]
        ids = (ids * length)[:length]
        return torch.tensor([ids, [1] * length, [0] * length])
