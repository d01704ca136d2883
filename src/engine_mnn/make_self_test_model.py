"""Writes self_test_model.h: the model on which the MNN plugin checks MNN before it trusts it.

y = concat(relu(conv1x1(x)), x) for x of shape [1, 3, 4, 5]: three kernels (Raster, Convolution, Raster), a packed
tensor between plain ones, and a Raster with two origins. The weights are those that self_test.cpp computes with.
Needs torch, onnx and MNN: python make_self_test_model.py self_test_model.h
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch import nn


class SelfTest(nn.Module):
    """[1, 3, 4, 5] -> [1, 8, 4, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 1)
        with torch.no_grad():
            self.conv.weight.copy_(((torch.arange(15) * 7) % 11 - 5).float().reshape(5, 3, 1, 1) / 8)
            self.conv.bias.copy_((torch.arange(5) - 2).float() / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.relu(self.conv(x)), x], 1)


def main() -> None:
    import MNN  # noqa: F401  (the converter module needs it loaded first)

    import _tools  # isort: skip

    with tempfile.TemporaryDirectory() as folder:
        onnx, mnn = Path(folder, "m.onnx"), Path(folder, "m.mnn")
        torch.onnx.export(
            SelfTest().eval(), torch.zeros(1, 3, 4, 5), onnx, dynamo=False, input_names=["x"], output_names=["y"]
        )
        _tools.mnnconvert(["", "-f", "ONNX", "--modelFile", str(onnx), "--MNNModel", str(mnn), "--bizCode", "mmt"])
        data = mnn.read_bytes()
    lines = [
        "// Made by make_self_test_model.py, which says what it computes.",
        "#pragma once",
        "",
        "namespace mmt::mnn {",
        "",
        "alignas(16) inline constexpr unsigned char kSelfTestModel[] = {",
    ]
    lines += ["    " + " ".join(f"{byte}," for byte in data[at : at + 24]) for at in range(0, len(data), 24)]
    lines += ["};", "", "}  // namespace mmt::mnn", ""]
    Path(sys.argv[1]).write_text("\n".join(lines))


if __name__ == "__main__":
    main()
