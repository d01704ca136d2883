"""The sets of models that accuracy is shown on, and how the operators of each are made."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmt.converter import generate_ops_list
from mmt.torch_side.scan import ScanReport, find_operators

ROOT = Path(__file__).resolve().parents[1]
SHAPE = [1, 3, 224, 224]


@dataclass
class ModelSet:
    """Models with the operators that predict them. `inputs`: one for all, or by model name.

    `group`: the row of the table of targets that the set belongs to. `aged`: the operators stay as they were metered in
    an earlier run, and are not visited beside the models.
    """

    name: str
    group: str
    make_operators: Callable[[Path], Any]
    models: list[tuple[str, Any]]
    inputs: Any
    dtype: Any = "float32"
    threads: int = 1
    calibrated: bool = False
    aged: bool = False

    def prepare(self) -> Path:
        """The operator folder, made where it is not there."""
        folder = ROOT / "build" / "accuracy" / self.name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        self.make_operators(folder)
        return folder


def space_module(name: str) -> Any:
    """The module `space` beside an example's ops.yaml."""
    example = str(ROOT / "examples" / name)
    sys.path.insert(0, example)
    sys.modules.pop("space", None)
    try:
        return importlib.import_module("space")
    finally:
        sys.path.remove(example)


def sample(name: str, count: int, seed: int) -> list[tuple[str, Any]]:
    """Random variants of an example's search space."""
    space, generator = space_module(name), random.Random(seed)
    return [
        (f"{name} {i}", space.build({slot: generator.choice(choices) for slot, choices in space.SLOTS.items()}).eval())
        for i in range(count)
    ]


def from_yaml(name: str) -> Callable[[Path], Any]:
    return lambda folder: generate_ops_list(ROOT / "examples" / name / "ops.yaml", folder)


def from_scan(models: list[tuple[str, Any]], inputs: Any, dtype: Any, level: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> None:
        if (folder / "ops.json").exists():
            return
        report = ScanReport([], 0, 0)
        for name, model in models:
            shapes = inputs[name] if isinstance(inputs, dict) else inputs
            report.merge(find_operators(model, shapes, level, dtype=dtype))
        report.convert(folder)

    return make


def scanned(name: str, group: str, models: list[tuple[str, Any]], inputs: Any, dtype: Any = "float32",
            level: str = "auto", **more: Any) -> ModelSet:  # fmt: skip
    return ModelSet(name, group, from_scan(models, inputs, dtype, level), models, inputs, dtype, **more)


def zoo_set(family: str, variants: list[Any]) -> list[ModelSet]:
    """One set per list of input types, since a validation has one for all of its models."""
    sets = []
    types = sorted({tuple(one.input_dtypes) for one in variants})
    for number, dtypes in enumerate(types):
        mine = [one for one in variants if tuple(one.input_dtypes) == dtypes]
        sets.append(
            scanned(
                f"zoo {family}" + (f" {number + 1}" if number else ""),
                "zoo",
                [(one.name, one.build()) for one in mine],
                {one.name: one.input_shape for one in mine},
                dtypes[0] if len(dtypes) == 1 else list(dtypes),
            )
        )
    return sets


def sizes_set(family: str, variant: Any) -> ModelSet:
    """One model at several input sizes and batches."""
    model = variant.build()
    shapes = {f"{size} px": [1, 3, size, size] for size in (160, 192, 256)}
    shapes |= {f"batch {batch}": [batch, 3, 160, 160] for batch in (2, 4)}
    return scanned(f"sizes {family}", "sizes", [(name, model) for name in shapes], shapes)


def all_sets(seed: int) -> list[ModelSet]:
    from zoo import families

    zoo = families()
    few = {name: sample(name, 8, seed) for name in ("resnet", "mobilenetv3")}
    sets = [
        ModelSet("resnet", "spaces", from_yaml("resnet"), sample("resnet", 24, seed), SHAPE, calibrated=True),
        ModelSet("mobilenetv3", "spaces", from_yaml("mobilenetv3"), sample("mobilenetv3", 40, seed), SHAPE,
                 calibrated=True),
    ]  # fmt: skip
    for name, models in few.items():
        sets += [scanned(f"{name} as {level}s", "levels", models, SHAPE, level=level)
                 for level in ("block", "group", "layer")]  # fmt: skip
    for family, variants in zoo.items():
        sets += zoo_set(family, variants)
    sets += [sizes_set("residual", zoo["residual"][0]), sizes_set("inverted", zoo["inverted"][1])]
    for name, models in few.items():
        sets.append(ModelSet(f"{name} two threads", "threads", from_yaml(name), models, SHAPE, threads=2))
        sets.append(ModelSet(f"{name} aged table", "aged", from_yaml(name), models, SHAPE, aged=True))
    return sets


__all__ = ["ModelSet", "all_sets"]
