"""Scanning: everything that a model calls becomes an operator that a prediction will find again."""

import json
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from typer.testing import CliRunner

import mmt
from mmt.cli.app import app
from mmt.errors import MmtError
from mmt.manifest import read_manifest
from mmt.space import load, resolve
from mmt.torch_side.fingerprint import Fingerprints, InputSpec, fingerprint
from mmt.torch_side.generate import generate
from mmt.torch_side.recover import can_be_named, recover_parameters
from mmt.torch_side.scan import find_operators
from mmt.torch_side.space_text import space_text
from mmt.torch_side.trace import ClosedOperator, TensorSpec, trace


class ConvUnit(nn.Sequential):
    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__(nn.Conv2d(channels_in, channels_out, 3, stride, 1), nn.BatchNorm2d(channels_out), nn.ReLU())


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__()
        self.first = ConvUnit(channels_in, channels_out, stride)
        self.second = nn.Conv2d(channels_out, channels_out, 1)
        self.drop = nn.Dropout(0.1)
        self.skip = nn.Identity() if stride == 1 and channels_in == channels_out else \
            nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x):
        return F.relu(self.drop(self.second(self.first(x))) + self.skip(x))


class Stage(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Staged(nn.Module):
    """Stem, two stages of blocks, a head out of layers and functions."""

    def __init__(self):
        super().__init__()
        self.stem = ConvUnit(3, 8, 2)
        self.stages = nn.Sequential(Stage(Block(8, 8), Block(8, 8)), Stage(Block(8, 16, 2), Block(16, 16)))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Staged()

    def forward(self, x):
        return {"scores": self.net(x)}


class Functional(nn.Module):
    """Weights without layers, Python control flow, views."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.matrix = nn.Parameter(torch.randn(8, 4))

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.kernel, padding=1))
        for _ in range(2):
            x = F.avg_pool2d(x, 2)
        left, right = x.chunk(2, 1)
        x = torch.cat([right, left], 1).flatten(2).mean(-1)
        return F.softmax(x @ self.matrix, -1)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x, scale=1.0, mask=None):
        x = self.norm(self.conv(x)) * scale
        return x if mask is None else x * mask


class Calls(nn.Module):
    """One shared module, called in ways that need looking at."""

    def __init__(self):
        super().__init__()
        self.part = Scaled()

    def forward(self, x):
        x = self.part(x)
        x = self.part(x, 2.0)
        return self.part(x, mask=x.sigmoid()) + self.part(x, scale=1.0)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.b = nn.Linear(6, 4)

    def forward(self, x):
        return self.a(x), self.b(x)


class Text(nn.Module):
    """Two inputs, one of integers; modules with several outputs; a module that returns a dictionary."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(13, 6)
        self.rnn = nn.LSTM(6, 6, batch_first=True)
        self.gru = nn.GRU(6, 6, batch_first=True)
        self.pair = Pair()

    def forward(self, words, extra):
        x, (h, _) = self.rnn(self.table(words))
        x, _ = self.gru(x)
        left, right = self.pair(x + extra)
        return left.sum(1) + h[0], right


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        x = self.conv(x)
        return x.relu() if float(x.mean()) > 100 else x.sigmoid()


IMAGE = [1, 3, 32, 32]
MODELS = {
    "staged": (Staged, IMAGE, "float32"),
    "wrapped": (Wrapped, IMAGE, "float32"),
    "functional": (Functional, IMAGE, "float32"),
    "calls": (Calls, IMAGE, "float32"),
    "text": (Text, [[1, 5], [1, 5, 6]], ["int64", "float32"]),
    "deciding": (Deciding, IMAGE, "float32"),
    "nested": (lambda: nn.Sequential(
        nn.Sequential(nn.Sequential(ConvUnit(3, 8)), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)), IMAGE, "float32"),
    "transformer": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2,
                                                  enable_nested_tensor=False), [1, 7, 16], "float32"),
}


def classes_of(report):
    return {item.operator.class_name.rpartition(".")[2]: item.occurs for item in report.found
            if item.operator.kind == "module"}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", ["auto", "block", "layer"])
def test_a_walk_that_knows_the_operators_meets_nothing_else(name, level):
    build, shape, dtype = MODELS[name]
    model = build().eval()
    report = find_operators(model, shape, level, dtype=dtype)
    known = {item.fingerprint: item for item in report.found}
    looks = Fingerprints()

    def closed(module, path, inputs):
        item = known.get(looks.fingerprint(module, inputs))
        if item is None:
            return None
        outputs = [TensorSpec(tuple(shape), dtype) for shape, dtype in zip(
            item.operator.checked.output_shapes, item.operator.checked.output_dtypes, strict=True)]
        if isinstance(module, nn.LSTM):
            return ClosedOperator(item.fingerprint, "LSTM", (outputs[0], tuple(outputs[1:])))
        return ClosedOperator(item.fingerprint, path, outputs[0] if len(outputs) == 1 else tuple(outputs))

    shapes = [shape] if isinstance(shape[0], int) else shape
    dtypes = [dtype] * len(shapes) if isinstance(dtype, str) else dtype
    specs = [TensorSpec(tuple(one), kind) for one, kind in zip(shapes, dtypes, strict=True)]
    walked = trace(model, specs, closed=closed)
    missing = [text for text, identity in walked.node_identities() if identity not in known]
    assert missing == []
    assert len(walked.nodes) == sum(item.occurs for item in report.found)
    assert sum(report.share(item) for item in report.found) == pytest.approx(1.0)


def test_a_report_can_be_shown():
    report = find_operators(nn.Sequential(nn.Conv2d(3, 64, 7), nn.ReLU()).eval(), [1, 3, 32, 32])
    assert len(repr(report)) < 3000  # No weights.


def test_levels():
    model = Staged()
    blocks = classes_of(find_operators(model, IMAGE, "block"))
    assert blocks == {"Block": 1, "ConvUnit": 1, "Linear": 1}
    assert sum(item.occurs for item in find_operators(model, IMAGE, "block").found) == 1 + 4 + 1 + 1
    layers = classes_of(find_operators(model, IMAGE, "layer"))
    assert {"Conv2d", "BatchNorm2d", "ReLU", "Linear"} == set(layers)
    groups = {item.operator.class_name for item in find_operators(model, IMAGE, "group").found}
    assert groups == {"conv2d+batch_norm+relu", "conv2d", "add+relu", "mean", "linear"}
    with pytest.raises(MmtError, match="there are auto, block, group, layer"):
        find_operators(model, IMAGE, "atoms")


def test_a_model_within_a_model_is_opened_and_chains_of_layers_stay_together():
    assert set(classes_of(find_operators(Wrapped(), IMAGE))) == {"Block", "ConvUnit", "Linear"}
    nested = find_operators(MODELS["nested"][0](), IMAGE)
    assert set(classes_of(nested)) == {"ConvUnit", "Sequential", "AdaptiveAvgPool2d", "Flatten", "Linear"}


class Joined(nn.Module):
    """Neighbours that run as kernels which none of them shows alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 36, 4)

    def forward(self, x):
        return self.fc(F.relu(self.norm(self.conv(x))).flatten(1))


def test_pieces_complete_what_operators_do_not_show_alone(tmp_path):
    bare = mmt.scan(Joined(), [1, 3, 8, 8], tmp_path / "bare", complete=False, workers=1)
    assert bare.pieces == []
    report = mmt.scan(Joined(), [1, 3, 8, 8], tmp_path / "ops", workers=1)
    assert {piece.class_name for piece in report.pieces} == {"conv2d+batch_norm+relu", "reshape+linear"}
    assert report.open_kernels == []
    assert report.notes == []
    assert report.generated.new == len(report.found) + 2
    assert set(read_manifest(tmp_path / "ops").entries) == {
        *(item.fingerprint for item in report.found), *(piece.fingerprint for piece in report.pieces)}
    assert sum(report.share(item) for item in report.found) == pytest.approx(1.0)
    again = mmt.scan(Joined(), [1, 3, 8, 8], tmp_path / "ops", workers=1)
    assert (again.generated.new, again.pieces) == (0, [])


class SelfAttention(nn.Module):
    """Between its first linear layer and the attention lie nine functions that only copy."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def test_copies_far_before_an_attention_are_completed(tmp_path):
    report = mmt.scan(SelfAttention(), [1, 6, 16], tmp_path, workers=1)
    assert report.open_kernels == []
    assert report.notes == []
    longest = max((piece.class_name.split("+") for piece in report.pieces), key=len)
    assert {"linear", "permute", "select", "attention"} <= set(longest)


def test_a_model_that_the_engine_refuses_is_scanned_and_said_to_be_incomplete(tmp_path, monkeypatch):
    from mmt.torch_side import cover

    def refuse(path, engine):
        raise MmtError("an operator refuses these shapes")

    monkeypatch.setattr(cover, "_listed", refuse)
    report = mmt.scan(Joined(), [1, 3, 8, 8], tmp_path, workers=1)
    assert report.generated.new == len(report.found)
    assert report.notes == ["a model was not completed: an operator refuses these shapes"]
    assert "not completed" in str(report)


def test_calls_with_other_arguments_are_opened():
    report = find_operators(Calls(), IMAGE)
    assert set(classes_of(report)) == {"Conv2d", "BatchNorm2d"}  # two calls with equal tensors do different things
    assert "mul" in {item.operator.class_name for item in report.found}


def test_integer_inputs_know_their_range():
    report = find_operators(Text(), [[1, 5], [1, 5, 6]], dtype=["int64", "float32"])
    table = next(item for item in report.found if item.operator.class_name == "torch.nn.Embedding")
    assert table.operator.checked.ranges == [(0.0, 13.0)]


def test_a_model_that_does_not_run_is_one_error():
    with pytest.raises(MmtError, match=r"Staged does not run on \[1, 4, 32, 32\]") as caught:
        find_operators(Staged(), [1, 4, 32, 32])
    assert caught.value.code == "invalid_argument"


def test_the_model_is_left_as_it_was():
    model = Staged().train()
    model.stem.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    find_operators(model, IMAGE)
    assert model.training
    assert model.fc.training
    assert not model.stem.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_scan_converts_what_it_found(tmp_path):
    model = Staged()
    report = mmt.scan(model, IMAGE, tmp_path, "auto", workers=1)
    assert report.generated.failed == []
    assert report.generated.new == len(report.found) + len(report.pieces)
    manifest = read_manifest(tmp_path)
    block = manifest.entries[fingerprint(model.stages[0].blocks[0], [1, 8, 16, 16])]
    assert block["class"] == f"{__name__}.Block"
    assert block["origin"] == "scan"
    assert [one["context"] for one in block["models"]] == ["plain", "packed"]
    mean = next(entry for entry in manifest.entries.values() if entry["class"] == "mean")
    assert mean["kind"] == "function"
    assert mean["parameters"] == {"axes": [2, 3], "keepdim": False}
    again = mmt.scan([model, Wrapped()], IMAGE, tmp_path, workers=1)
    assert again.generated.new == 0
    assert again.open_kernels == []
    assert again.models == 2


@pytest.mark.parametrize(("module", "inputs", "expected"), [
    (nn.Conv2d(3, 8, 3, padding=1), [1, 3, 8, 8],
     {"in_channels": 3, "out_channels": 8, "kernel_size": 3, "padding": 1}),
    (nn.Conv2d(4, 8, (1, 3), groups=2, bias=False), [1, 4, 8, 8],
     {"in_channels": 4, "out_channels": 8, "kernel_size": [1, 3], "groups": 2, "bias": False}),
    (nn.LayerNorm((4, 4), eps=1e-3), [1, 4, 4], {"normalized_shape": [4, 4], "eps": 1e-3}),
    (nn.BatchNorm2d(4, affine=False), [1, 4, 8, 8], {"num_features": 4, "affine": False}),
    (nn.MaxPool2d(2), [1, 4, 8, 8], {"kernel_size": 2}),
    (nn.Upsample(scale_factor=2, mode="bilinear"), [1, 4, 8, 8], {"scale_factor": 2.0, "mode": "bilinear"}),
    (nn.GRU(4, 5, 2, batch_first=True), [1, 3, 4],
     {"input_size": 4, "hidden_size": 5, "num_layers": 2, "batch_first": True}),
    (nn.Embedding(5, 4), [((1, 3), "int64")], {"num_embeddings": 5, "embedding_dim": 4}),
    (nn.ReLU(), [1, 4], {}),
    (nn.ReLU(inplace=True), [1, 4], {"inplace": True}),
    (Block(8, 16, 2), [1, 8, 8, 8], {"channels_in": 8, "channels_out": 16, "stride": 2}),
    (nn.Sequential(nn.ReLU()), [1, 4], None),
])
def test_constructor_parameters_are_recovered(module, inputs, expected):
    from mmt.torch_side.fingerprint import input_specs

    specs = input_specs(inputs)
    print_of = fingerprint(module, specs)
    found = recover_parameters(module, specs, print_of)
    assert found == expected
    if expected is not None:
        assert fingerprint(type(module)(**found), specs) == print_of


def test_classes_that_a_file_cannot_name(tmp_path):
    class Inner(nn.Module):
        pass

    assert can_be_named(nn.Conv2d, tmp_path)
    assert not can_be_named(Inner, tmp_path)
    (tmp_path / "torchlike.py").write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    from mmt.space.imports import import_file

    net = import_file(tmp_path / "torchlike.py").Net
    assert can_be_named(net, tmp_path)
    assert not can_be_named(net, tmp_path.parent)


MODULE = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, odd=False):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=2 if odd else 1, dilation=2 if odd else 1)
        self.other = nn.Conv2d(width, width, 1)

    def forward(self, x):
        return self.other(self.conv(x).relu())


class Hidden(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.inner = layers

    def forward(self, x):
        return self.inner(x) + 1


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(3), Block(3), Block(3, True))
        self.hidden = Hidden(nn.Conv2d(3, 4, 1))

    def forward(self, x):
        return self.hidden(self.blocks(x)).flatten(1)


SLOTS = {"count": [1, 2]}


def build(config):
    return nn.Sequential(*[Block(3) for _ in range(config["count"])])
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "nets.py").write_text(textwrap.dedent(MODULE))
    return f"{tmp_path}/nets.py:Net"


def test_the_written_space_is_the_same_operators(net, tmp_path):
    from mmt.cli.loading import load_model

    report = find_operators(load_model(net), [1, 3, 8, 8])
    written = space_text(report, tmp_path, ["for a test"])
    path = tmp_path / "ops.yaml"
    path.write_text(written.text)
    assert "width: [3]" in written.text
    assert "odd: true" in written.text
    assert {operator.class_name for operator in written.captured} == {"nets.Hidden", "reshape"}
    found = set()
    for operator in resolve(load(path)).operators():
        specs = list(map(InputSpec, operator.input_shapes, operator.input_dtypes))
        found.add(operator.captured_id or fingerprint(operator.build(), specs))
    assert found == {item.fingerprint for item in report.found}


def test_the_command_writes_a_space_that_generates(net, tmp_path):
    arguments = ["scan", net, "--input", "1,3,8,8;1,3,4,4", "-o", str(tmp_path / "ops.yaml"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    scanned = json.loads(result.stdout)
    assert scanned["models"] == 2
    assert scanned["operators"][0]["occurs"] == 2
    report = generate(tmp_path / "ops.yaml", tmp_path / "ops", workers=1)
    assert report.failed == []
    known = {item["fingerprint"] for item in scanned["operators"] + scanned["pieces"]}
    assert report.new == len(known)
    assert set(read_manifest(tmp_path / "ops").entries) == known
    (tmp_path / "ops.captured" / "ops.json").unlink()
    lost = generate(tmp_path / "ops.yaml", tmp_path / "elsewhere", workers=1)
    assert "run `mmt scan` again" in lost.failed[0].reason


def test_the_command_takes_a_search_space_and_explains_wrong_use(net, tmp_path):
    space = net.replace(":Net", ":build")
    arguments = ["scan", "--space", space, "--sample", "4", "--input", "1,3,8,8", "--level", "layer"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "in 4 models" in result.output
    for arguments, message in ((["scan", net], "--input"), (["scan", "--input", "1,3"], "name a model"),
                               (["scan", net, "--input", "1,3,8,8", "--level", "x"], "unknown")):
        wrong = CliRunner().invoke(app, arguments)
        assert wrong.exit_code == 2
        assert message in wrong.output
