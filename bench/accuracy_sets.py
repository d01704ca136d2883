"""The sets of models that accuracy is shown on, and how the operators of each are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from example_spaces import ROOT, SHAPE, random_models

from mmt.converter import generate_ops_list
from mmt.torch_side.scan import ScanReport, find_operators

Models = list[tuple[str, Any]]


@dataclass
class ModelSet:
    """Models with the operators that predict them. `inputs`: one for all, or by model name. The models are built when
    they are first asked for.

    `group`: the row of the table of targets that the set belongs to. `aged`: the operators stay as they were metered in
    an earlier run, and are not visited beside the models. `rounds`: of whole models; fewer where one takes long.
    """

    name: str
    group: str
    make_operators: Callable[[ModelSet, Path], Any]
    make_models: Callable[[], Models]
    inputs: Any
    dtype: Any = "float32"
    threads: int = 1
    calibrated: bool = False
    rounds: int = 24
    aged: bool = False

    @cached_property
    def models(self) -> Models:
        return self.make_models()

    def prepare(self) -> Path:
        """The operator folder, made where it is not there."""
        folder = ROOT / "build" / "accuracy" / self.name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        self.make_operators(self, folder)
        return folder


def from_yaml(example: str) -> Callable[[ModelSet, Path], Any]:
    """The operators of an example's ops.yaml."""
    return lambda _, folder: generate_ops_list(ROOT / "examples" / example / "ops.yaml", folder)


def from_scan(level: str) -> Callable[[ModelSet, Path], Any]:
    """The operators that the set's models consist of."""

    def make(one: ModelSet, folder: Path) -> None:
        if (folder / "ops.json").exists():
            return
        report = ScanReport([], 0, 0)
        for name, model in one.models:
            shapes = one.inputs[name] if isinstance(one.inputs, dict) else one.inputs
            report.merge(find_operators(model, shapes, level, dtype=one.dtype))
        report.convert(folder)

    return make


@lru_cache
def sampled(name: str, count: int, seed: int) -> Models:
    """Random variants of an example's search space."""
    return [(f"{name} {i}", model) for i, model in enumerate(random_models(name, count, seed))]


def zoo_set(family: str, variants: list[Any]) -> list[ModelSet]:
    """One set per list of input types, since a validation has one for all of its models."""
    sets = []
    types = sorted({tuple(one.input_dtypes) for one in variants})
    for number, dtypes in enumerate(types):
        mine = [one for one in variants if tuple(one.input_dtypes) == dtypes]
        sets.append(
            ModelSet(
                f"zoo {family}" + (f" {number + 1}" if number else ""),
                "zoo",
                from_scan("auto"),
                lambda mine=mine: [(one.name, one.build()) for one in mine],
                {one.name: one.input_shape for one in mine},
                dtypes[0] if len(dtypes) == 1 else list(dtypes),
            )
        )
    return sets


def sizes_set(family: str, variant: Any) -> ModelSet:
    """One model at several input sizes and batches."""
    shapes = {f"{size} px": [1, 3, size, size] for size in (160, 192, 256)}
    shapes |= {f"batch {batch}": [batch, 3, 160, 160] for batch in (2, 4)}

    def models() -> Models:
        model = variant.build()
        return [(name, model) for name in shapes]

    return ModelSet(f"sizes {family}", "sizes", from_scan("auto"), models, shapes)


def all_sets(seed: int) -> list[ModelSet]:
    from zoo import families

    zoo = families()

    def variants(name: str, count: int) -> Callable[[], Models]:
        return lambda: sampled(name, count, seed)

    examples = ("resnet", "mobilenetv3")
    rounds = {"resnet": 18, "mobilenetv3": 24}
    sets = [
        ModelSet(name, "spaces", from_yaml(name), variants(name, count), SHAPE, calibrated=True, rounds=rounds[name])
        for name, count in zip(examples, (24, 40), strict=True)
    ]
    for name in examples:
        sets += [
            ModelSet(f"{name} as {level}s", "levels", from_scan(level), variants(name, 8), SHAPE, rounds=rounds[name])
            for level in ("block", "group", "layer")
        ]
    for family, members in zoo.items():
        sets += zoo_set(family, members)
    sets += [sizes_set("residual", zoo["residual"][0]), sizes_set("inverted", zoo["inverted"][1])]
    for name in examples:
        few = variants(name, 8)
        mine = {"rounds": rounds[name]}
        sets.append(ModelSet(f"{name} two threads", "threads", from_yaml(name), few, SHAPE, threads=2, **mine))
        sets.append(ModelSet(f"{name} aged table", "aged", from_yaml(name), few, SHAPE, aged=True, **mine))
    return sets


__all__ = ["ModelSet", "all_sets"]
