"""What runs in a converter process: builds, exports and converts one operator after the other, or whole models."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from mmt.torch_side.convert import OutputLog, convert_contexts, keep_memory, load_converter, onnx_to_file
from mmt.torch_side.messages import read_message, write_message


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
    exporter = reason = ""
    flops = -1
    onnx: dict[str, bytes] = {}
    if header["recipe"] is None:
        start = 0
        for context, size in header["sizes"].items():
            onnx[context] = payload[start : start + size]
            start += size
    else:
        onnx, exporter, reason, flops = _export(header)
    models = convert_contexts(onnx, header["fingerprint"], header["folder"], log)
    return {"models": [vars(model) for model in models], "exporter": exporter, "reason": reason, "flops": flops}


def _export(header: dict[str, Any]) -> tuple[dict[str, bytes], str, str, int]:
    for entry in header["sys_path"]:
        if entry not in sys.path:
            sys.path.append(entry)
    import torch

    from mmt.torch_side.build import build_recipe, export_contexts

    torch.set_num_threads(1)
    module = build_recipe(header["recipe"], header["fingerprint"], header["inputs"])
    return export_contexts(module, header["inputs"], header["contexts"])


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
