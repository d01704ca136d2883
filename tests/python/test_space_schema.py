"""The JSON Schema accepts what the parser accepts and refuses what a schema can express.

JSON is YAML in its flow style, so one text serves both.
"""

from __future__ import annotations

import json
import re
import textwrap
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

import mmt.space
from mmt.errors import MmtError

SHAPES = {"input_shape": [[1, 8, 4, 4]]}

GOOD = [
    {"resnet18": {"Block": {"channels": [8, 16], "kernel": [3, 5], "input_shape": [[1, 8, 4, 4], [1, 16, 2, 2]]}}},
    {"torch.nn": {"ReLU": {"no_params": True, **SHAPES}}},
    {"torch.nn": {"Conv2d": {"in_channels": 8, "kernel_size": [[3, 5], [5, 3]], "bias": [True, None], **SHAPES}}},
    {"torch.nn": {"Conv2d": [{"in_channels": 8, **SHAPES}, {"in_channels": 8, "occurs": 3, **SHAPES}]}},
    {"m": {"Add": {"no_params": True, "input_shape": [[[1, 8], [1, 8]]], "input_dtype": ["float32", "int64"]}}},
    {"m": {"Embedding": {"n": 10, "input_shape": [[1, 8]], "input_dtype": "int64", "input_range": [0, 10]}}},
    {"m": {"Outer.Inner": {"x": "text", **SHAPES}}},
    {"m": {"A": {"x": [{"a": 1}], "occurs": [2], **SHAPES}}},
    {"mmt.captured": {"captured": ["ab12", 7]}},
]

BAD = [
    {},
    [],
    {"m": {}},
    {"m": None},
    {"my-module": {"A": {"x": 1, **SHAPES}}},
    {"input_shape": [[1]]},
    {"m": {"input_shape": [[1]]}},
    {"m": {"A": None}},
    {"m": {"A": 3}},
    {"m": {"A": {"x": 1}}},
    {"m": {"A": SHAPES}},
    {"m": {"A": {"no_params": False, **SHAPES}}},
    {"m": {"A": {"no_params": True, "x": 1, **SHAPES}}},
    {"m": {"A": {"no_params": 1, **SHAPES}}},
    {"m": {"A": {"x y": 1, **SHAPES}}},
    {"m": {"A": {"x": {"y": 1}, **SHAPES}}},
    {"m": {"A": {"x": [], **SHAPES}}},
    {"m": {"A": {"x": 1, "input_shape": []}}},
    {"m": {"A": {"x": 1, "input_shape": 5}}},
    {"m": {"A": {"x": 1, "input_shape": [1, 3, 224, 224]}}},
    {"m": {"A": {"x": 1, "input_shape": [[]]}}},
    {"m": {"A": {"x": 1, "input_shape": [[1, -1]]}}},
    {"m": {"A": {"x": 1, "input_shape": [[1, "3"]]}}},
    {"m": {"A": {"x": 1, "input_shape": [[1] * 9]}}},
    {"m": {"A": {"x": 1, "input_shape": [[[1], []]]}}},
    {"m": {"A": {"x": 1, "input_dtype": "int46", **SHAPES}}},
    {"m": {"A": {"x": 1, "input_range": [1], **SHAPES}}},
    {"m": {"A": {"x": 1, "occurs": 0, **SHAPES}}},
    {"m": {"A": {"x": 1, "occurs": [], **SHAPES}}},
    {"mmt.captured": {"Conv2d": ["a"]}},
    {"mmt.captured": {"captured": []}},
]

# Right by form; only the parser, which counts, can refuse them.
BEYOND_SCHEMA = [
    {"m": {"A": {"x": [1, 2], **SHAPES}}},
    {"m": {"A": {"x": 1, "input_dtype": ["int64", "int64"], **SHAPES}}},
    {"m": {"A": {"x": 1, "occurs": [1, 2], **SHAPES}}},
    {"m": {"A": {"x": 1, "input_range": [5, 0], **SHAPES}}},
]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = mmt.space.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_both_accept(validator: jsonschema.Draft202012Validator, document: object) -> None:
    assert mmt.space.loads(json.dumps(document)).count() >= 1
    validator.validate(document)


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_both_refuse(validator: jsonschema.Draft202012Validator, document: object) -> None:
    with pytest.raises(MmtError):
        mmt.space.loads(json.dumps(document))
    assert not validator.is_valid(document)


@pytest.mark.parametrize("document", BEYOND_SCHEMA, ids=json.dumps)
def test_only_the_parser_counts(validator: jsonschema.Draft202012Validator, document: object) -> None:
    with pytest.raises(MmtError):
        mmt.space.loads(json.dumps(document))
    assert validator.is_valid(document)


def test_the_stored_schema_is_the_generated_one() -> None:
    """Renew it with `mmt space --schema > python/mmt/space/ops.schema.json`."""
    stored = resources.files("mmt.space").joinpath("ops.schema.json").read_text(encoding="utf-8")
    assert stored == mmt.space.schema_json()


def test_the_page_about_spaces_is_true(repository: Path) -> None:
    """The YAML of docs/space.md parses, and its first block counts as the page says."""
    page = (repository / "docs" / "space.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    texts = [textwrap.dedent(text) for _, text in blocks if "language-server" not in text]
    counts = [mmt.space.loads(text, "docs/space.md").count() for text in texts]
    assert counts[0] == 25
    assert counts[1] == 3
