"""Text classifiers: embedding, LSTM or GRU, linear; the input is token numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .variant import Input, Variant

VOCABULARY = 8000


class TextClassifier(nn.Module):
    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU], width: int, hidden: int, layers: int, both: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.rnn = cell(width, hidden, num_layers=layers, batch_first=True, bidirectional=both)
        self.fc = nn.Linear(hidden * (2 if both else 1), 20)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        return self.fc(states[:, -1])


class Tagger(nn.Module):
    """One answer per token, time first inside."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.norm = nn.LayerNorm(width)
        self.rnn = nn.GRU(width, hidden)
        self.fc = nn.Linear(hidden, 40)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.embedding(tokens)).transpose(0, 1)
        states, _ = self.rnn(x)
        return self.fc(torch.relu(states)).transpose(0, 1)


def text(name: str, builder: Callable[[], nn.Module], length: int, batch: int = 1) -> Variant:
    return Variant(name, builder, (Input((batch, length), "int64", VOCABULARY),))


def variants() -> list[Variant]:
    return [
        text("lstm-256", lambda: TextClassifier(nn.LSTM, 128, 256, 1, False), 96),
        text("gru-256-2", lambda: TextClassifier(nn.GRU, 128, 256, 2, False), 32),
        text("lstm-256-both", lambda: TextClassifier(nn.LSTM, 128, 256, 1, True), 64),
        text("gru-tagger", lambda: Tagger(192, 256), 48),
    ]
