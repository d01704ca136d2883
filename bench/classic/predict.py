"""A table is a file that names the operators, and beside it a small file with the class of each; both are read for each
prediction. A model is run once, and each of its modules that is of a class of the table is looked up from the first row
to the last, by class, input shape and printed text."""

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

INDEX = "operators.pkl"


@dataclass
class Row:
    """An operator: its class, the text that it prints, its input's shape, its latency in milliseconds."""

    kind: type[nn.Module]
    text: str
    shape: tuple[int, ...]
    latency_ms: float


_names: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()


@contextmanager
def short_names(model: nn.Module, kinds: Collection[type]) -> Iterator[None]:
    """The modules of some classes print one short line, made beforehand, while this lasts: what users of such tools
    write by hand, so that a look-up need not print everything inside. PyTorch's own classes print as ever."""
    own = {kind for kind in {type(module) for module in model.modules()} & set(kinds)
           if not kind.__module__.startswith("torch.")}  # fmt: skip
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


def save(table: Sequence[Row], folder: Path) -> None:
    """One file of rows, and for each row a file with its class, as such tools leave them behind when generating."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(table):
        (folder / f"{number}.class").write_bytes(pickle.dumps(row.kind))
    rows = [(f"{number}.class", row.text, row.shape, row.latency_ms) for number, row in enumerate(table)]
    (folder / INDEX).write_bytes(pickle.dumps(rows))


def load(folder: Path | str) -> list[Row]:
    folder = Path(folder)
    with open(folder / INDEX, "rb") as file:
        listed = pickle.load(file)
    rows = []
    for name, text, shape, latency_ms in listed:
        with open(folder / name, "rb") as file:
            rows.append(Row(pickle.load(file), text, shape, latency_ms))
    return rows


def look_up(table: Sequence[Row], module: nn.Module, shape: tuple[int, ...]) -> Row | None:
    """The first row of this class and shape that prints like `module`."""
    for row in table:
        if isinstance(module, row.kind) and row.shape == shape and row.text == repr(module):
            return row
    return None


def predict(model: nn.Module, folder: Path | str, input_shape: Sequence[int]) -> float:
    """`sum_up` with the table of a folder."""
    return sum_up(model, load(folder), input_shape)


def sum_up(model: nn.Module, table: Sequence[Row], input_shape: Sequence[int]) -> float:
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
            if any(isinstance(child, row.kind) for row in table):
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
