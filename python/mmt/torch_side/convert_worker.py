"""What runs in a converter process: builds, exports and converts one operator after the other, or whole models."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from mmt.torch_side.convert import OutputLog, convert_contexts, keep_memory, load_converter, onnx_to_file
from mmt.torch_side.messages import read_message, write_message

if TYPE_CHECKING:
    from mmt.torch_side.export import ExportResult


def serve(read_fd: int, write_fd: int) -> None:
    """Answers messages until the other side closes."""
    keep_memory()
    with contextlib.suppress(ImportError):  # the first task says what is missing
        load_converter()
    with os.fdopen(os.dup(1), "rb", closefd=True) as output:
        log = OutputLog(output)
        while (message := read_message(read_fd)) is not None:
            header, payload = message
            try:
                reply = _convert(header, payload, log)
            except Exception as error:
                code = getattr(error, "code", "")
                reply = {"error": str(error) if code else f"{type(error).__name__}: {error}", "code": code}
            write_message(write_fd, reply)


def _convert(header: dict[str, Any], payload: bytes, log: OutputLog) -> dict[str, Any]:
    if "path" in header:
        size_bytes, digest = onnx_to_file(payload, header["path"], log)
        return {"size_bytes": size_bytes, "sha256": digest}
    about: dict[str, Any] = {}
    other = None
    if header["recipe"] is not None:
        exported = _export(header)
        payload, other = exported.onnx_bytes, exported.other
        about = {"exporter": exported.exporter, "reason": exported.reason, "flops": exported.flops}
    models, missing = convert_contexts(payload, header["contexts"], header["fingerprint"], header["folder"], log, other)
    return {"models": [vars(model) for model in models], "missing": missing, **about}


def _export(header: dict[str, Any]) -> ExportResult:
    for entry in header["sys_path"]:
        if entry not in sys.path:
            sys.path.append(entry)
    import torch

    from mmt.torch_side.build import build_recipe
    from mmt.torch_side.export import to_onnx
    from mmt.torch_side.fingerprint import input_specs

    torch.set_num_threads(1)
    module = build_recipe(header["recipe"], header["fingerprint"], header["inputs"])
    return to_onnx(module, input_specs(header["inputs"]))


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
