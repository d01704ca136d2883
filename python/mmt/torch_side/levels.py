"""Which modules of a model are its operators: layers, or the blocks that it repeats."""

from __future__ import annotations

from collections import Counter

from torch import nn

from mmt.torch_side.capture import Survey

__all__ = ["LEVELS", "Chooser"]

LEVELS = ("auto", "block", "group", "layer")

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_SMALL = 4  # a module with fewer weighted layers is never taken for a whole network


class Chooser:
    """Says for each module whether it is an operator at a level ("block" or "layer").

    Layers are modules without children. Blocks are the outermost modules of a model that are neither the model nor
    stages of it: a stage holds modules with several weighted layers whose class occurs more often than the stage's own.
    A plain nn.Sequential counts as one where it is one weighted layer with what follows it (conv-bn-act).
    """

    def __init__(self, surveyed: Survey, level: str) -> None:
        self._survey = surveyed
        self._layers_only = level == "layer"
        self._weights: dict[int, int] = {}
        self._count = Counter(type(module) for module in surveyed.model.modules())
        self._total = self._weighted_layers(surveyed.model)
        self._chosen: dict[int, bool] = {}

    def is_operator(self, module: nn.Module) -> bool:
        if module is self._survey.model:
            return False
        chosen = self._chosen.get(id(module))
        if chosen is None:
            chosen = self._survey.does_something(module) and self._is_unit(module)
            self._chosen[id(module)] = chosen
        return chosen

    def _is_unit(self, module: nn.Module) -> bool:
        children = list(module.children())
        if not children:
            return True
        if self._layers_only:
            return False
        if type(module) in _CONTAINERS:
            return type(module) is nn.Sequential and self._is_group(module)
        return not (self._is_stage(module) or self._is_whole(module))

    def _is_group(self, module: nn.Module) -> bool:
        """A chain of layers with one weighted layer."""
        leaves = [part for part in module.modules() if not list(part.children())]
        composite = [part for part in module.modules() if list(part.children())]
        working = [part for part in leaves if self._survey.does_something(part)]
        return all(type(part) is nn.Sequential for part in composite) and len(working) > 1 \
            and self._weighted_layers(module) == 1

    def _is_stage(self, module: nn.Module) -> bool:
        own = self._count[type(module)]
        return any(self._count[type(part)] > own and self._weighted_layers(part) > 1 and type(part) not in _CONTAINERS
                   for part in module.modules() if part is not module and list(part.children()))

    def _is_whole(self, module: nn.Module) -> bool:
        weighted = self._weighted_layers(module)
        return weighted >= _SMALL and 2 * weighted > self._total

    def _weighted_layers(self, module: nn.Module) -> int:
        """Modules in `module` that own a matrix or a kernel."""
        known = self._weights.get(id(module))
        if known is None:
            own = any(parameter is not None and parameter.dim() > 1 for parameter in module._parameters.values())
            known = own + sum(self._weighted_layers(child) for child in module.children())
            self._weights[id(module)] = known
        return known
