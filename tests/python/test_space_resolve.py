"""Spaces against Python: modules beside the file, classes, parameter names, and what building the operators shows."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mmt.space
from mmt.errors import MmtError
from mmt.space.imports import beside, import_module, locate

BLOCK = """
import torch

class Block(torch.nn.Module):
    def __init__(self, channels, kernel=3, *, bias=True):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"even kernel {kernel}")
        self.conv = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x):
        return self.conv(x)

class Open(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, x):
        return x

    class Inner(torch.nn.Identity):
        pass

class NoModule:
    pass

def function(x):
    return x
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "my_block.py").write_text(BLOCK)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    assert sys.path == path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def resolve(folder: Path) -> Callable[[str], mmt.space.ResolvedSpace]:
    def write_and_resolve(text: str) -> mmt.space.ResolvedSpace:
        (folder / "ops.yaml").write_text(text)
        return mmt.space.resolve(mmt.space.load(folder / "ops.yaml"))

    return write_and_resolve


@pytest.fixture
def message(resolve: Callable[[str], mmt.space.ResolvedSpace]) -> Callable[[str], str]:
    def message_of(text: str) -> str:
        with pytest.raises(MmtError) as caught:
            resolve(text)
        assert "\n" not in str(caught.value)
        return str(caught.value).rpartition("ops.yaml:")[2]

    return message_of


SHAPES = "    input_shape: [[1, 8, 4, 4]]\n"


def test_a_module_beside_the_file(resolve: Callable[[str], mmt.space.ResolvedSpace]) -> None:
    resolved = resolve("my_block:\n  Block:\n    channels: [8]\n    kernel: [3, 5]\n" + SHAPES)
    operators = list(resolved.operators())
    assert [operator.parameters for operator in operators] == [{"channels": 8, "kernel": size} for size in (3, 5)]
    first = operators[0]
    assert first.class_name == "my_block.Block"
    assert first.input_shapes == [[1, 8, 4, 4]]
    assert first.input_dtypes == ["float32"]
    assert first.place.endswith("ops.yaml:2:3")
    module = first.build()
    assert "even kernel" in inspect.getsource(type(module))
    assert type(pickle.loads(pickle.dumps(module))) is type(module)


def test_packages_nested_classes_and_neighbours(folder: Path,
                                                resolve: Callable[[str], mmt.space.ResolvedSpace]) -> None:
    package = folder / "my_package"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sub" / "ops.py").write_text("from ..base import Base\nimport my_block\n\nclass Wide(Base):\n    pass\n")
    (package / "base.py").write_text(BLOCK.replace("class Block", "class Base"))
    resolved = resolve("my_package.sub.ops:\n  Wide:\n    channels: 8\n" + SHAPES + "my_block:\n  Open.Inner:\n"
                       "    no_params: true\n" + SHAPES)
    assert [operator.class_name for operator in resolved.operators()] == ["my_package.sub.ops.Wide",
                                                                          "my_block.Open.Inner"]


def test_equal_names_in_two_folders(tmp_path: Path) -> None:
    for name, width in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_name.py").write_text(f"import same_helper\nWIDTH = {width}\nHELP = same_helper.HELP\n")
        (tmp_path / name / "same_helper.py").write_text(f"HELP = {width}\n")
    one = import_module("same_name", tmp_path / "one")
    two = import_module("same_name", tmp_path / "two")
    assert (one.WIDTH, one.HELP, two.WIDTH, two.HELP) == (1, 1, 2, 2)
    assert import_module("same_name", tmp_path / "one") is one
    assert sys.modules["same_name"] is one
    with beside(tmp_path / "two"):
        assert sys.modules["same_name"] is two
        import same_helper

        assert same_helper.HELP == 2
    for name in ("same_name", "same_helper"):
        del sys.modules[name]


def test_a_module_that_the_program_imported_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    import my_block

    assert import_module("my_block", folder) is my_block


def test_libraries_are_not_replaced_by_files_of_their_name(folder: Path) -> None:
    (folder / "torch.py").write_text("raise RuntimeError('wrong file')\n")
    (folder / "json.py").write_text("raise RuntimeError('wrong file')\n")
    assert import_module("torch.nn", folder).__name__ == "torch.nn"
    assert import_module("json", folder).loads("1") == 1


def test_locate_counts_packages_into_the_name(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    assert locate(tmp_path / "pkg" / "nets.py") == ("pkg.nets", tmp_path.resolve())
    assert locate(tmp_path / "nets.py") == ("nets", tmp_path.resolve())


def test_unknown_module(message: Callable[[str], str]) -> None:
    text = message("my_blok:\n  Block:\n    channels: 8\n" + SHAPES)
    assert text.startswith("1:1: key 'my_blok': no such module")
    assert "did you mean 'my_block'?" in text
    assert "did you mean 'torch.nn'?" in message("torch.mn:\n  Conv2d:\n    in_channels: 8\n" + SHAPES)
    assert "did you mean 'torch.nn'?" in message("torhc.nn:\n  Conv2d:\n    in_channels: 8\n" + SHAPES)
    assert "is a module, not a package" in message("my_block.inner:\n  Block:\n    channels: 8\n" + SHAPES)


def test_modules_that_fail_to_import(folder: Path, message: Callable[[str], str]) -> None:
    (folder / "lacks.py").write_text("import surely_not_installed\n")
    assert "No module named 'surely_not_installed'" in message("lacks:\n  A:\n    x: 8\n" + SHAPES)
    (folder / "broken.py").write_text("x = (\n")
    assert "SyntaxError" in message("broken:\n  A:\n    x: 8\n" + SHAPES)
    (folder / "exits.py").write_text("raise SystemExit('usage')\n")
    assert "SystemExit: usage" in message("exits:\n  A:\n    x: 8\n" + SHAPES)


def test_unknown_class(message: Callable[[str], str]) -> None:
    text = message("my_block:\n  Blck:\n    channels: 8\n" + SHAPES)
    assert text.startswith("2:3: key 'Blck' of my_block: no such class, did you mean 'Block'?")
    assert "a function, not a class" in message("my_block:\n  function:\n    x: 8\n" + SHAPES)
    assert "no torch.nn.Module" in message("my_block:\n  NoModule:\n    x: 8\n" + SHAPES)
    assert "did you mean 'Conv2d'?" in message("torch.nn:\n  conv2d:\n    in_channels: 8\n" + SHAPES)


def test_unknown_and_missing_parameters(message: Callable[[str], str]) -> None:
    text = message("my_block:\n  Block:\n    channels: 8\n    kernels: 3\n" + SHAPES)
    assert text.startswith("4:5: key 'kernels' of my_block.Block: unknown parameter, did you mean 'kernel'?")
    assert "the constructor takes channels, kernel, bias" in text
    text = message("my_block:\n  Block:\n    kernel: 3\n" + SHAPES)
    assert text.startswith("2:3: key 'Block' of my_block: the constructor needs 'channels'")
    assert "needs 'in_features', 'out_features'" in message("torch.nn:\n  Linear:\n    no_params: true\n" + SHAPES)


def test_constructors_that_take_any_keyword(resolve: Callable[[str], mmt.space.ResolvedSpace],
                                            message: Callable[[str], str]) -> None:
    resolved = resolve("my_block:\n  Open:\n    anything: [1]\n" + SHAPES)
    [operator] = resolved.operators()
    assert operator.build().options == {"anything": 1}
    lstm = "torch.nn:\n  LSTM:\n    input_size: 8\n    hidden_size: 4\n"
    assert resolve(lstm + "    input_shape: [[1, 3, 8]]\n").count() == 1
    assert "did you mean 'hidden_size'?" in message(lstm.replace("hidden", "hiden") + SHAPES)


def test_keyword_spaces_resolve_to_their_class() -> None:
    import torch

    space = mmt.space.from_keywords(torch.nn.Conv2d, in_channels=[8], out_channels=[4], kernel_size=[1, 3],
                                    input_shape=[[1, 8, 4, 4]])
    operators = list(mmt.space.resolve(space, cls=torch.nn.Conv2d).operators())
    assert [operator.class_name for operator in operators] == ["torch.nn.Conv2d"] * 2
    assert operators[1].place == "register(Conv2d)"
    assert operators[1].build().kernel_size == (3, 3)
    with pytest.raises(MmtError, match=r"^register\(Conv2d\): key 'out_chanels' .*did you mean 'out_channels'"):
        mmt.space.resolve(mmt.space.from_keywords(torch.nn.Conv2d, in_channels=8, out_chanels=4, kernel_size=1,
                                                  input_shape=[[1, 8, 4, 4]]), cls=torch.nn.Conv2d)


def test_captured_instances_have_no_class(resolve: Callable[[str], mmt.space.ResolvedSpace]) -> None:
    [operator] = resolve("mmt.captured:\n  captured: [ab12]\n").operators()
    assert operator.cls is None
    assert operator.captured_id == "ab12"
    with pytest.raises(MmtError, match="captured instance"):
        operator.build()


def test_examine_drops_counts_and_chains(resolve: Callable[[str], mmt.space.ResolvedSpace]) -> None:
    resolved = resolve("my_block:\n  Block:\n    channels: [8, 16]\n    kernel: [3, 4]\n"
                       "    input_shape: [[1, 8, 4, 4], [1, 8, 4, 4]]\n"
                       "torch.nn:\n  Conv2d:\n    - &one\n      in_channels: 8\n      out_channels: 4\n"
                       "      kernel_size: 1\n      input_shape: [[1, 8, 4, 4]]\n    - {<<: *one, stride: 1}\n"
                       "mmt.captured:\n  captured: [ab12]\n")
    calls: list[tuple[int, int]] = []
    result = mmt.space.examine(resolved, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (7, 7)
    assert (result.operators, result.usable, result.duplicates, result.captured) == (7, 2, 1, 1)
    stages = sorted((drop.stage, drop.parameters["kernel"]) for drop in result.drops.dropped)
    assert stages == [("constructor", 4), ("constructor", 4), ("forward", 3)]
    assert any("even kernel 4" in drop.reason for drop in result.drops.dropped)
    assert result.unmade_inputs == {}
    assert result.untaken_outputs == {"[1, 4, 4, 4]": ["torch.nn.Conv2d"]}
    assert result.metering_s is not None
    assert 0 < result.metering_s[0] < result.metering_s[1]
    assert result.to_json()["drops"]["count"] == 3


def test_a_table_tells_what_metering_still_takes(tmp_path: Path) -> None:
    from mmt.converter import generate_ops_list
    from mmt.meter import meter_ops

    def space(kernels: str) -> mmt.space.ResolvedSpace:
        text = ("torch.nn:\n  Conv2d:\n    in_channels: 8\n    out_channels: 8\n    kernel_size: " + kernels
                + "\n    input_shape: [[1, 8, 16, 16]]\n")
        (tmp_path / "ops.yaml").write_text(text)
        return mmt.space.resolve(mmt.space.load(str(tmp_path / "ops.yaml")))

    known = space("[1, 3]")
    generate_ops_list(tmp_path / "ops.yaml", tmp_path / "ops")
    meter_ops(tmp_path / "ops", times=2, progress=lambda _: None)
    result = mmt.space.examine(known, table=tmp_path / "ops")
    assert (result.metering_from, result.measured, result.metering_s) == ("table", 2, (0.0, 0.0))
    result = mmt.space.examine(space("[1, 3, 5, 7]"), table=tmp_path / "ops", times=50)
    assert (result.usable, result.measured) == (4, 2)
    assert result.metering_s is not None
    assert 0 < result.metering_s[0] < result.metering_s[1]


@pytest.mark.parametrize("example", ["resnet", "mobilenetv3", "torch_nn"])
def test_examples_resolve(repository: Path, example: str) -> None:
    resolved = mmt.space.resolve(mmt.space.load(repository / "examples" / example / "ops.yaml"))
    assert sum(1 for _ in resolved.operators()) == resolved.count() > 0
