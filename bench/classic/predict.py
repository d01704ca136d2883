"""A table is a list in a file; a model is run once, and each of its modules that the table has a class for is looked up
from the first row to the last, by class, input shape and printed text."""

from __future__ import annotations

import hashlib
import pickle
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


@dataclass
class Row:
    """An operator: name of its class, the text that it prints, its input's shape, its latency in milliseconds."""

    kind: str
    text: str
    shape: tuple[int, ...]
    latency_ms: float


_names: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()


@contextmanager
def short_names(model: nn.Module, kinds: Collection[str]) -> Iterator[None]:
    """The modules of some classes print one short line, made beforehand, while this lasts: what users of such tools
    write by hand, so that a look-up need not print everything inside. PyTorch's own classes print as ever."""
    own = {type(module) for module in model.modules()}
    own = {kind for kind in own if kind.__name__ in kinds and not kind.__module__.startswith("torch.")}
    for module in model.modules():
        if type(module) in own:
            _names[module] = f"{type(module).__name__}-{hashlib.sha256(repr(module).encode()).hexdigest()[:16]}"
    before = {kind: vars(kind).get("__repr__") for kind in own}
    for kind in own:
        kind.__repr__ = lambda module: _names[module]
    try:
        yield
    finally:
        for kind, method in before.items():
            if method is None:
                del kind.__repr__
            else:
                kind.__repr__ = method


def save(table: Sequence[Row], path: Path) -> None:
    path.write_bytes(pickle.dumps([(row.kind, row.text, row.shape, row.latency_ms) for row in table]))


def load(path: Path | str) -> list[Row]:
    return [Row(*row) for row in pickle.loads(Path(path).read_bytes())]


def look_up(table: Sequence[Row], module: nn.Module, shape: tuple[int, ...]) -> Row | None:
    """The first row of this class and shape that prints like `module`."""
    kind = type(module).__name__
    for row in table:
        if row.kind == kind and row.shape == shape and row.text == repr(module):
            return row
    return None


def predict(model: nn.Module, table: Sequence[Row], input_shape: Sequence[int]) -> float:
    """Sum over the outermost modules of the table's classes, in milliseconds; what the table lacks counts nothing."""
    total = 0.0
    handles = []

    def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        row = look_up(table, module, tuple(inputs[0].shape))
        if row is not None:
            total += row.latency_ms

    def watch(module: nn.Module) -> None:
        for child in module.children():
            if any(row.kind == type(child).__name__ for row in table):
                handles.append(child.register_forward_hook(leave))
            else:
                watch(child)

    watch(model)
    try:
        with torch.no_grad():
            model.eval()(torch.ones(tuple(input_shape)))
    finally:
        for handle in handles:
            handle.remove()
    return total
