"""Calls of modules and functions as the recorder sees them: how they reach it, where they come from, what is inside."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FunctionType
from typing import Any

from torch import nn
from torch.overrides import resolve_name

#: `handler(outer, module, args, kwargs)` of each thread that watches module calls, innermost last.
_handlers: dict[int, list[Callable[[Callable, nn.Module, tuple, dict], Any]]] = {}
_outer: Callable = nn.Module._call_impl
_watching = 0
_lock = threading.Lock()


@contextmanager
def watching() -> Iterator[None]:
    """`modules_to` is quick while this lasts.

    nn.Module gets another `_call_impl`, which its `__call__` calls, and Python then forgets what it knew of hundreds of
    classes: that is better done once around many recordings than for each of them. (Another `__call__` would be worse:
    Python also writes that into every class.) Other calls of modules go on as before, a little slower.
    """
    global _watching, _outer
    with _lock:
        if _watching == 0:
            _outer = nn.Module._call_impl
            nn.Module._call_impl = _call
        _watching += 1
    try:
        yield
    finally:
        with _lock:
            _watching -= 1
            if _watching == 0:
                nn.Module._call_impl = _outer


@contextmanager
def modules_to(handler: Callable[[Callable, nn.Module, tuple, dict], Any]) -> Iterator[None]:
    """Every call of a module in this thread becomes `handler(outer, module, args, kwargs)` while this lasts."""
    thread = threading.get_ident()
    with watching():
        _handlers.setdefault(thread, []).append(handler)
        try:
            yield
        finally:
            _handlers[thread].pop()
            if not _handlers[thread]:
                del _handlers[thread]


def _call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    handlers = _handlers.get(threading.get_ident())
    if not handlers:
        return _outer(module, *args, **kwargs)
    return handlers[-1](_outer, module, args, kwargs)


def function_name(func: Callable) -> str:
    """What a function is called in messages and in traces."""
    return resolve_name(func) or getattr(func, "__qualname__", None) or str(func)


_INSIDE = ("/torch/", "/mmt/torch_side/")


def place() -> str:
    """File and line of the innermost frame that belongs to the model."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not any(part in path for part in _INSIDE) and not path.startswith("<"):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "inside torch"


def _nothing_overrides(*_: Any) -> bool:
    return False


@lru_cache(maxsize=512)
def opened(func: Callable) -> Callable | None:
    """A function that torch implements in Python, so that the functions that it calls are recorded in its place:
    the same code, without the check that would call the recorder with the function itself again."""
    if not isinstance(func, FunctionType) or not func.__module__.startswith("torch.") or func.__closure__:
        return None
    checks = [name for name in func.__code__.co_names if name.startswith("has_torch_function")]
    if not checks:
        return None
    copy = FunctionType(
        func.__code__,
        {**func.__globals__, **dict.fromkeys(checks, _nothing_overrides)},
        func.__name__,
        func.__defaults__,
    )
    copy.__kwdefaults__ = func.__kwdefaults__
    return copy
