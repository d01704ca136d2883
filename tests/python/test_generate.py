"""From an operator space to a folder: complete, resumable, deterministic, and nothing refused silently."""

import logging
import os
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

import mmt
from mmt.converter import export_models, generate_ops_list, register
from mmt.errors import MmtError
from mmt.manifest import read_manifest, write_manifest
from mmt.torch_side import generate as generating
from mmt.torch_side.build import build_seeded, check, instantiate
from mmt.torch_side.fingerprint import InputSpec, fingerprint
from mmt.torch_side.generate import generate
from mmt.torch_side.weights import seed_weights

BLOCKS = """
import os
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels, stride=1):
        super().__init__()
        if channels == 5:
            raise ValueError("5 is not a good number of channels")
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()

    def __repr__(self):
        return "the same text for all"


class Text(nn.Module):
    def __init__(self, words, width=4):
        super().__init__()
        self.table = nn.Embedding(words, width)

    def forward(self, x):
        return self.table(x.reshape(-1)).sum()


class Deadly(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.code = code

    def forward(self, x):
        if os.environ.get("OMP_NUM_THREADS") == "1" and os.getppid() == PARENT:
            os._exit(self.code)
        return x.erfinv()  # which only PyTorch's exporter is asked for, in a worker
"""

SPACE = """
blocks:
  Block:
    channels: [4, 5, 8]
    stride: [1, 2]
    input_shape: [[1, 4, 8, 8], [1, 5, 8, 8], [1, 8, 8, 8]]
  Text:
    words: [11]
    input_shape: [[1, 6]]
    input_dtype: int64
torch.nn:
  Conv2d:
    in_channels: [4, 4]
    out_channels: 4
    kernel_size: [3, [3, 3]]
    input_shape: [[1, 4, 8, 8], [1, 8, 8, 8]]
  ReLU:
    no_params: true
    input_shape: [[1, 4, 8, 8], [1, 16]]
"""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "blocks.py").write_text(BLOCKS)
    path = tmp_path / "ops.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "ops.yaml").write_text(SPACE)
    report = generate(folder / "ops.yaml", folder / "ops", workers=1)
    return folder, report


def test_counts_add_up_and_every_drop_has_its_reason(generated):
    _, report = generated
    assert report.total == 13
    assert (report.new, report.reused, report.duplicates) == (8, 0, 1)
    assert report.failed == []
    reasons = {(drop.stage, drop.class_name): drop.reason for drop in report.dropped.dropped}
    assert len(report.dropped) == 4
    assert "5 is not a good number" in reasons["constructor", "blocks.Block"]
    assert "expected input[1, 8, 8, 8] to have 4 channels" in reasons["forward", "torch.nn.Conv2d"]
    assert all("ops.yaml:" in drop.place for drop in report.dropped.dropped)


def test_the_manifest_says_what_there_is(generated):
    folder, _ = generated
    manifest = read_manifest(folder / "ops")
    assert manifest.converter == "MNN 3.6.1"
    entries = list(manifest.entries.values())
    assert [entry["class"] for entry in entries] == ["blocks.Block"] * 4 + ["blocks.Text", "torch.nn.Conv2d"] \
        + ["torch.nn.ReLU"] * 2
    first = entries[0]
    assert first["parameters"] == {"channels": 4, "stride": 1}
    assert first["output_shapes"] == [[1, 4, 8, 8]]
    assert first["parameter_count"] == 4 * 4 * 9 + 4 + 8
    assert [model["context"] for model in first["models"]] == ["plain", "packed"]
    assert [model["context"] for model in entries[-1]["models"]] == ["plain"]
    text = next(entry for entry in entries if entry["class"] == "blocks.Text")
    assert text["inputs"] == [{"shape": [1, 6], "dtype": "int64", "low": 0.0, "high": 11.0, "shared": 0.35}]
    assert all(manifest.has_files(name) for name in manifest.entries)
    conv = nn.Conv2d(4, 4, (3, 3))
    assert fingerprint(conv, [1, 4, 8, 8]) in manifest.entries


def test_the_models_compute_what_the_modules_compute(generated):
    import MNN

    folder, _ = generated
    manifest = read_manifest(folder / "ops")
    for kernel in manifest.entries.values():
        if kernel["class"] != "torch.nn.Conv2d":
            continue
        module = build_seeded(nn.Conv2d, kernel["parameters"], kernel["fingerprint"])
        x = torch.linspace(-1, 1, 4 * 64).reshape(1, 4, 8, 8)
        for model in kernel["models"]:
            interpreter = MNN.Interpreter(str(folder / "ops" / model["file"]))
            session = interpreter.createSession()
            given = interpreter.getSessionInput(session)
            given.copyFrom(MNN.Tensor((1, 4, 8, 8), MNN.Halide_Type_Float, x.numpy(), MNN.Tensor_DimensionType_Caffe))
            assert interpreter.runSession(session) == 0
            result = MNN.Tensor((1, 4, 6, 6), MNN.Halide_Type_Float, MNN.Tensor_DimensionType_Caffe)
            interpreter.getSessionOutput(session).copyToHostTensor(result)
            with torch.no_grad():
                torch.testing.assert_close(torch.tensor(result.getNumpyData()), module(x), rtol=1e-3, atol=1e-3)


def test_the_same_space_gives_the_same_bytes_and_a_second_call_does_nothing(generated, space, tmp_path):
    folder, _ = generated
    generate(space, tmp_path / "ops", workers=2)
    ours = {path.name: path.read_bytes() for path in (folder / "ops").rglob("*") if path.is_file()}
    theirs = {path.name: path.read_bytes() for path in (tmp_path / "ops").rglob("*") if path.is_file()}
    assert ours == theirs
    before = (tmp_path / "ops" / "ops.json").stat().st_mtime_ns
    again = generate(space, tmp_path / "ops")
    assert (again.new, again.reused) == (0, 8)
    assert (tmp_path / "ops" / "ops.json").stat().st_mtime_ns == before


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(space, tmp_path, monkeypatch):
    models = tmp_path / "ops" / "models"
    from_space = generating._from_space

    def interrupted(resolved, yes):
        """The user gives up before the last operators are asked for, when the first are done for sure."""
        yield from list(from_space(resolved, yes))[:-1]
        deadline = time.monotonic() + 120  # Else nothing is finished, which the test tells.
        # Two files each at most, so with a third the second operator's turn has come.
        while len(list(models.glob("*.mnn"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(generating, "_from_space", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(space, tmp_path / "ops", workers=1)
    finished = len(read_manifest(tmp_path / "ops").entries)
    assert 0 < finished < 8
    report = generate(space, tmp_path / "ops", workers=1)
    assert (report.new, report.reused) == (8 - finished, finished)
    assert not list((tmp_path / "ops").rglob("*.partial"))


def test_what_another_process_brings_meanwhile_stays(space, tmp_path, monkeypatch):
    from_space = generating._from_space
    other = tmp_path / "other.yaml"
    other.write_text("torch.nn: {Linear: {in_features: [3], input_shape: [[1, 3]], out_features: [5, 6]}}\n")

    def with_a_neighbour(resolved, yes):
        yield from from_space(resolved, yes)
        command = [sys.executable, "-m", "mmt", "generate", str(other), str(tmp_path / "ops")]
        subprocess.run(command, check=True, capture_output=True)

    with monkeypatch.context() as patched:
        patched.setattr(generating, "_from_space", with_a_neighbour)
        report = generate(space, tmp_path / "ops", workers=1)
    entries = read_manifest(tmp_path / "ops").entries.values()
    assert (report.new, len(entries)) == (8, 10)
    assert sum(entry["class"] == "torch.nn.Linear" for entry in entries) == 2
    again = generate(other, tmp_path / "ops", workers=1)
    assert (again.new, again.reused) == (0, 2)


def test_the_caller_s_random_numbers_stay_those_that_would_have_come(tmp_path):
    class Drawing(nn.Module):
        """Holds more than weights, so that it is built for real."""

        def __init__(self, width):
            super().__init__()
            self.norm = nn.LayerNorm(width)
            self.table = torch.randn(width)

        def forward(self, x):
            return self.norm(x) * self.table

    state = torch.get_rng_state()
    assert register(Drawing, tmp_path, width=[4, 8], input_shape=[(1, 4), (1, 8)], workers=1).new == 2
    assert torch.equal(torch.get_rng_state(), state)


def test_a_lost_or_cut_file_is_converted_again(generated, space, tmp_path):
    generate(space, tmp_path / "ops", workers=1)
    first, second = sorted((tmp_path / "ops" / "models").iterdir())[:3:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    report = generate(space, tmp_path / "ops", workers=1)
    assert (report.new, report.reused) == (2, 6)


def test_another_converter_makes_everything_again(tmp_path):
    register(nn.Linear, tmp_path, in_features=[4, 8], out_features=[4], input_shape=[[1, 4], [1, 8]], workers=1)
    manifest = read_manifest(tmp_path)
    manifest.converter = "MNN 0.0.1"
    write_manifest(manifest)
    report = register(nn.Linear, tmp_path, in_features=[4], out_features=[4], input_shape=[[1, 4]], workers=1)
    assert report.new == 1
    entries = sorted(read_manifest(tmp_path).entries.values(), key=lambda entry: entry["parameter_count"])
    assert [entry["error"] for entry in entries] == ["", "was made by MNN 0.0.1; generate it again"]


def test_an_operator_that_kills_its_worker_is_one_failed_entry(tmp_path):
    (tmp_path / "blocks.py").write_text(BLOCKS.replace("PARENT", str(os.getpid())))
    (tmp_path / "ops.yaml").write_text(textwrap.dedent("""
        blocks:
          Deadly:
            code: [3]
            input_shape: [[1, 4]]
          Block:
            channels: [4]
            input_shape: [[1, 4, 8, 8]]
    """))
    report = generate(tmp_path / "ops.yaml", tmp_path / "ops", workers=1)
    assert report.new == 1
    assert len(report.failed) == 1
    assert "exit code 3" in report.failed[0].reason
    entries = list(read_manifest(tmp_path / "ops").entries.values())
    assert [bool(entry["error"]) for entry in entries] == [True, False]
    assert entries[0]["models"] == []


LAYERS = """
torch.nn:
  Conv2d: {in_channels: [6], out_channels: [4], kernel_size: [3], bias: [true, false], input_shape: [[1, 6, 8, 8]]}
  BatchNorm2d: {num_features: [6], input_shape: [[1, 6, 8, 8]]}
  Linear: {in_features: [4], out_features: [3], input_shape: [[1, 4]]}
  LSTM: {input_size: [4], hidden_size: [3], input_shape: [[2, 1, 4]]}
  MaxPool2d: {kernel_size: [2, 9], input_shape: [[1, 6, 8, 8], [1, 6, 8, 8]]}
  Embedding: {num_embeddings: [7], embedding_dim: [3], input_shape: [[1, 4]], input_dtype: int64}
"""


def test_workers_that_build_operators_make_the_same_files(tmp_path, monkeypatch):
    (tmp_path / "ops.yaml").write_text(LAYERS)
    here = generate(tmp_path / "ops.yaml", tmp_path / "here", workers=1)
    monkeypatch.setattr("mmt.torch_side.generate._MOST_BYTES_HERE", -1)
    there = generate(tmp_path / "ops.yaml", tmp_path / "there", workers=1)
    assert (here.new, len(here.dropped)) == (there.new, len(there.dropped)) == (7, 1)
    assert here.fallbacks == there.fallbacks == []
    assert read_manifest(tmp_path / "here").entries == read_manifest(tmp_path / "there").entries


def test_a_worker_that_only_converts_does_not_load_torch():
    code = "import sys, mmt.torch_side.convert_worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Local(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return self.fc(x)


def test_register_appends_and_takes_classes_that_only_this_process_knows(tmp_path):
    class Inner(Local):
        pass

    assert mmt.register is register
    first = register(Local, tmp_path, width=[4, 8], input_shape=[(1, 4), (1, 8)], workers=1)
    second = register(Inner, tmp_path, width=[4], input_shape=[[1, 4]], workers=1)
    assert (first.new, second.new) == (2, 1)
    entries = list(read_manifest(tmp_path).entries.values())
    assert [entry["origin"] for entry in entries] == ["register"] * 3
    assert fingerprint(Local(8), [1, 8]) in read_manifest(tmp_path).entries
    with pytest.raises(MmtError, match="height"):
        register(Local, tmp_path, height=[4], input_shape=[[1, 4]])


def test_refusals_are_logged_by_the_plain_call(space, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "mmt"):
        generate_ops_list(space, str(tmp_path / "ops"), workers=1)
    assert "4 combinations dropped" in caplog.text
    assert "5 is not a good number" in caplog.text


def test_export_models_names_files_after_models(tmp_path):
    files = export_models({"small": nn.Linear(4, 4), "large": nn.Linear(4, 8)}, [1, 4], tmp_path)
    assert files == [tmp_path / "small.mnn", tmp_path / "large.mnn"]
    assert all(file.stat().st_size for file in files)
    assert export_models(Local(4), [[1, 4]], tmp_path) == [tmp_path / "Local.mnn"]
    several = export_models([Local(4), Local(4)], [1, 4], tmp_path)
    assert [file.name for file in several] == ["Local_0.mnn", "Local_1.mnn"]
    with pytest.raises(MmtError, match=r"Linear\.mnn"):
        export_models(nn.Linear(4, 4), [1, 5], tmp_path)


def test_weights_follow_from_the_identity_and_stay_in_a_healthy_range():
    first, second, third = (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GRU(8, 4)) for _ in range(3))
    seed_weights(first, "a")
    seed_weights(second, "a")
    seed_weights(third, "b")
    states = [torch.cat([tensor.flatten().float() for tensor in module.state_dict().values()])
              for module in (first, second, third)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    variance = first[1].running_var
    assert 0.5 <= variance.min() <= variance.max() <= 1.5
    assert min(float(parameter.detach().abs().min()) for parameter in first.parameters()) >= 0.99e-4
    built = build_seeded(nn.Conv2d, {"in_channels": 3, "out_channels": 8, "kernel_size": 3}, "a")
    plain = nn.Conv2d(3, 8, 3)
    seed_weights(plain, "a")
    assert torch.equal(built.weight, plain.weight)


def test_ranges_of_integer_inputs_follow_the_tables_that_they_index():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(50, 4)
            self.places = nn.Embedding(7, 4)

        def forward(self, words, places, scale, flags):
            shifted = words.reshape(-1)
            return self.words(shifted) + self.places(places.view(-1)) * scale + flags.sum()

    inputs = [InputSpec((1, 3), "int64"), InputSpec((1, 3), "int32"), InputSpec((1,)), InputSpec((2,), "int64")]
    assert check(Two().to("meta"), inputs).ranges == [(0.0, 50.0), (0.0, 7.0), (-1.0, 1.0), (0.0, 2.0)]


def test_modules_whose_constructor_computes_are_built_for_real():
    class Stepped(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.rates = torch.linspace(0, 1, depth).tolist()

        def forward(self, x):
            return x if float(x.sum()) > 1e9 else x * self.rates[-1]

    module = instantiate(Stepped, {"depth": 3})
    assert module.rates[-1] == 1.0
    assert check(module, [InputSpec((1, 4))], Stepped, {"depth": 3}).output_shapes == [[1, 4]]
