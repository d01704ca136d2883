"""From a class and its parameters to a module that can be converted: building, checking, seeding, exporting."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mmt.errors import mmt_error
from mmt.space.imports import beside, import_module
from mmt.torch_side.canonical import ATOMS
from mmt.torch_side.fingerprint import InputSpec, fingerprint, input_specs
from mmt.torch_side.weights import seed_of, seed_weights

__all__ = [
    "Checked", "Refused", "build_recipe", "check", "holds_only_weights", "instantiate",
    "make_inputs", "tensors_in",
]


class Refused(Exception):
    """A class does not accept a combination. `stage`: "constructor" or "forward"; the text is the reason."""

    def __init__(self, stage: str, reason: Exception) -> None:
        text = " ".join(str(reason).split())
        super().__init__(f"{type(reason).__name__}: {text[:300]}" if text else type(reason).__name__)
        self.stage = stage


@dataclass(frozen=True)
class Checked:
    """What a forward pass without computing shows: outputs, flattened, and the range of each input's values."""

    output_shapes: list[list[int]]
    output_dtypes: list[str]
    ranges: list[tuple[float, float]]


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a module takes or returns, in order: tuples, lists, dicts and dataclasses are opened."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))


def make_inputs(inputs: Sequence[InputSpec], device: str = "meta") -> list[torch.Tensor]:
    """Tensors of these shapes and types, all zeros."""
    return [torch.zeros(shape, dtype=getattr(torch, dtype), device=device) for shape, dtype in inputs]


def instantiate(cls: type[torch.nn.Module], parameters: dict[str, Any]) -> torch.nn.Module:
    """Builds a module in evaluation mode: on the meta device where its constructor allows it.

    Raises Refused with the constructor's own words.
    """
    try:
        with torch.device("meta"):
            return cls(**parameters).eval()
    except Exception:
        return _instantiate_really(cls, parameters)


def _instantiate_really(cls: type[torch.nn.Module], parameters: dict[str, Any]) -> torch.nn.Module:
    try:
        with torch.random.fork_rng(devices=[]):
            return cls(**parameters).eval()
    except Exception as refusal:
        raise Refused("constructor", refusal) from refusal


def check(module: torch.nn.Module, inputs: Sequence[InputSpec], cls: type[torch.nn.Module] | None = None,
          parameters: dict[str, Any] | None = None) -> Checked:
    """Runs `module` on meta tensors; where that fails, for real (built again from `cls` and `parameters` if given).

    Raises Refused with the reason why the forward pass does not accept these inputs.
    """
    on_meta = all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    if on_meta:
        try:
            return _run(module, make_inputs(inputs))
        except Exception as refusal:
            if cls is None:
                raise Refused("forward", refusal) from refusal
        module = _instantiate_really(cls, parameters or {})
    try:
        return _run(module, make_inputs(inputs, "cpu"))
    except Exception as refusal:
        raise Refused("forward", refusal) from refusal


def _run(module: torch.nn.Module, tensors: list[torch.Tensor]) -> Checked:
    integers = [index for index, tensor in enumerate(tensors) if not tensor.is_floating_point()]
    with torch.no_grad():
        if integers:
            with _IndexRanges(tensors, integers) as ranges:
                outputs = list(tensors_in(module(*tensors)))
        else:
            ranges = None
            outputs = list(tensors_in(module(*tensors)))
    limits = [(0.0, float(ranges.high(index))) if ranges and index in integers else (-1.0, 1.0)
              for index in range(len(tensors))]
    return Checked([list(tensor.shape) for tensor in outputs], [str(tensor.dtype)[6:] for tensor in outputs], limits)


class _IndexRanges(TorchFunctionMode):
    """Follows integer inputs to the tables that they index, to know which values are allowed."""

    def __init__(self, tensors: list[torch.Tensor], integers: list[int]) -> None:
        super().__init__()
        self._sources = {id(tensors[index]): {index} for index in integers}
        self._kept: list[Any] = list(tensors)  # ids stay unique while the tensors live
        self._high: dict[int, int] = {}

    def high(self, index: int) -> int:
        """Smallest table that input `index` points into; 2 where it points into none."""
        return self._high.get(index, 2)

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        tensors = list(tensors_in((args, kwargs or {})))
        indices = [tensor for tensor in tensors if id(tensor) in self._sources]
        if indices:
            rows = self._rows(name, tensors, args, kwargs or {})
            for tensor in indices:
                for index in self._sources[id(tensor)] if rows else ():
                    self._high[index] = min(self._high.get(index, rows), rows)
            sources = set().union(*(self._sources[id(tensor)] for tensor in indices))
            for output in tensors_in(result):
                if not output.is_floating_point():
                    self._sources.setdefault(id(output), sources)
                    self._kept.append(output)
        return result

    def _rows(self, name: str, tensors: list[torch.Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """How many rows the table has that a call indexes; 0 where it indexes none."""
        tables = [tensor for tensor in tensors if id(tensor) not in self._sources and tensor.dim() > 0]
        if name in ("embedding", "embedding_bag"):
            tables = [tensor for tensor in tables if tensor.is_floating_point() and tensor.dim() == 2]
            return int(tables[0].shape[0]) if tables else 0
        if name in ("index_select", "gather", "take_along_dim") and tables:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            return int(tables[0].shape[axis]) if isinstance(axis, int) else 0
        if name == "__getitem__" and tables:
            return int(tables[0].shape[0])
        if name == "one_hot":
            classes = kwargs.get("num_classes", args[1] if len(args) > 1 else 0)
            return classes if isinstance(classes, int) and classes > 0 else 0
        return 0


def build_recipe(recipe: dict[str, Any], expected: str, inputs: Sequence[Any]) -> torch.nn.Module:
    """Builds the module that a recipe describes, with seeded weights.

    Raises MmtError where the class found here is another one than the caller's.
    """
    search_path = recipe["search_path"]
    folder = Path(search_path[0]) if search_path else None
    target: Any = import_module(recipe["module"], folder)
    for name in recipe["class"].split("."):
        target = getattr(target, name)
    with beside(folder):
        module = build_seeded(target, recipe["parameters"], expected)
    found = fingerprint(module, input_specs(inputs))
    if found != expected:
        raise mmt_error("invalid_argument", f"{recipe['module']}.{recipe['class']} builds another operator in a worker "
                        f"process ({inspect.getsourcefile(target)}); its configuration depends on the process")
    return module


def build_seeded(cls: type[torch.nn.Module], parameters: dict[str, Any], identity: str) -> torch.nn.Module:
    """Builds a module in evaluation mode with weights that follow from `identity` (see mmt.torch_side.weights)."""
    module = _built_empty(cls, parameters)
    if module is None:
        with torch.random.fork_rng(devices=[]):  # the caller's own random numbers stay those that would have come
            torch.manual_seed(seed_of(identity))
            module = cls(**parameters).eval()
    seed_weights(module, identity)
    return module


def _built_empty(cls: type[torch.nn.Module], parameters: dict[str, Any]) -> torch.nn.Module | None:
    """The module without initial weights, which would be overwritten anyway; None where it holds anything else."""
    try:
        with torch.device("meta"):
            module = cls(**parameters).eval()
    except Exception:  # a constructor that computes; the caller builds for real and meets any true refusal
        return None
    if not holds_only_weights(module):
        return None
    module = module.to_empty(device="cpu")
    for name, buffer in module.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.zero_()
    return module


def holds_only_weights(module: torch.nn.Module) -> bool:
    """Whether all tensors of a module are float parameters and statistics of norms, whose numbers are seeded."""
    for part in module.modules():
        others = [value for name, value in vars(part).items() if name not in _TENSOR_HOLDERS and not _is_plain(value)]
        if not set(part._buffers) <= _STATISTICS or next(tensors_in(others), None) is not None:
            return False
    return all(parameter.is_floating_point() for parameter in module.parameters())


def _is_plain(value: Any) -> bool:
    """Whether it surely holds no tensor, told quickly for most of what modules hold."""
    kind = type(value)
    return kind in ATOMS or (kind in _CONTAINERS and (not value or (kind is tuple and all(map(_is_plain, value)))))


_CONTAINERS = {tuple, list, dict, OrderedDict}
_TENSOR_HOLDERS = {"_parameters", "_buffers", "_modules", "_flat_weights"}
_STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}
