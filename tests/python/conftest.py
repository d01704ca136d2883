"""Shared by all Python tests: the examples and the zoo are importable, and PyTorch computes on one thread."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# The zoo as `zoo`, the examples' models by their own names (resnet18, mobilenetv3, network).
for folder in ("bench", "examples/resnet", "examples/mobilenetv3", "examples/torch_nn"):
    sys.path.append(str(REPOSITORY / folder))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree (examples, docs, VERSION). The package under test is the installed one, not this."""
    return REPOSITORY


@pytest.fixture(scope="session")
def load_file() -> Callable[[str], ModuleType]:
    """Imports a file of the repository under a name of its own: several examples have a `space.py`."""

    def load(path: str) -> ModuleType:
        name = "_file_" + path.removesuffix(".py").replace("/", "_")
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, REPOSITORY / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)
