"""The JSON Schema of linqi.toml says to an editor what the reader says to `linqi check`."""

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from linqi.cli import main
from linqi.config import InvalidConfig, every_setting, read
from linqi.config.json_schema import json_schema, schema_text
from linqi.config.schema import ISSUERS, SCHEMA_FILE
from linqi.config.setting import Setting
from linqi.config.template import template
from linqi.config.value_types import Boolean, Choice, Number

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
SCHEMA = Draft7Validator(json_schema())
SETTINGS = every_setting()
BORDERS = [
    (table, setting, value)
    for table, setting in SETTINGS
    if isinstance(setting.value_type, Number)
    for value in (setting.value_type.range.least, setting.value_type.range.most)
    if math.isfinite(value)
]
ANY_VALUE = st.one_of(
    st.booleans(),
    st.integers(-10, 10**10),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.lists(st.text(max_size=9) | st.lists(st.text(max_size=2), max_size=2), max_size=3),
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.text(max_size=3) | st.booleans() | st.floats() | st.none(),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.text(max_size=2), inner, max_size=2)
            ),
            max_leaves=3,
        ),
        max_size=2,
    ),
)


def tree(table: str, setting: Setting, value: Any) -> dict[str, Any]:
    """Return a parsed file that sets one key."""
    return {table: [{setting.name: value}] if table == ISSUERS else {setting.name: value}}


def is_read(raw: dict[str, Any], table: str, key: str) -> bool:
    """Return whether the reader finds no fault in the type or the range of that key."""
    try:
        read(raw)
    except InvalidConfig as error:
        return not any(
            fault.key == key and fault.code in ("wrong-value", "unknown-key")
            for fault in error.details
        )
    return True


def test_a_new_file_and_the_examples_follow_the_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`linqi init` writes the schema that its file names, `linqi schema` the same."""
    Draft7Validator.check_schema(json_schema())
    assert main(["init", str(tmp_path / "linqi.toml")]) == 0
    text = (tmp_path / "linqi.toml").read_text()
    assert text.startswith(f"#:schema ./{SCHEMA_FILE}\n")
    assert (tmp_path / SCHEMA_FILE).read_text() == schema_text()
    capsys.readouterr()
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(schema_text())
    assert main(["schema", str(tmp_path / "own.json")]) == 0
    assert (tmp_path / "own.json").read_text() == schema_text()
    for text in (template(), *(path.read_text() for path in EXAMPLES.glob("*.toml"))):
        assert [fault.message for fault in SCHEMA.iter_errors(tomllib.loads(text))] == []


def test_every_key_is_described_with_its_default() -> None:
    """Nothing is written twice: the words are those of the reference."""
    properties = json_schema()["properties"]
    for table, setting in SETTINGS:
        place = properties[table]["items"] if table == ISSUERS else properties[table]
        key = place["properties"][setting.name]
        assert key["description"].startswith(setting.meaning)
        if setting.default not in (None, math.inf):
            assert json.dumps(key["default"]) == json.dumps(setting.default)


@pytest.mark.parametrize(
    ("table", "setting", "value"), BORDERS, ids=lambda v: getattr(v, "name", str(v))
)
def test_ranges_end_where_the_reader_ends_them(table: str, setting: Setting, value: float) -> None:
    """At both ends of a range, and a step beyond them."""
    exact = int(value) if value % 1 == 0 else value
    for tried in (exact, exact - 1, exact + 1):
        raw = tree(table, setting, tried)
        assert SCHEMA.is_valid(raw) == is_read(raw, table, setting.name), tried


@pytest.mark.parametrize(("table", "setting"), SETTINGS, ids=lambda v: getattr(v, "name", str(v)))
@settings(max_examples=8, deadline=None)
@given(value=ANY_VALUE)
def test_what_the_schema_refuses_the_reader_refuses(
    table: str, setting: Setting, value: Any
) -> None:
    """An editor marks nothing that works; of types, words and ranges it marks all that does not."""
    raw = tree(table, setting, value)
    if not SCHEMA.is_valid(raw):
        assert not is_read(raw, table, setting.name)
    is_whole_float = isinstance(value, float) and value % 1 == 0  # an integer to JSON
    if isinstance(setting.value_type, Boolean | Choice | Number) and not is_whole_float:
        assert SCHEMA.is_valid(raw) == is_read(raw, table, setting.name)


def test_a_misspelt_key_or_table_is_marked() -> None:
    """Unknown names are no additions."""
    assert not SCHEMA.is_valid({"renewal": {"bufer_seconds": 300}})
    assert not SCHEMA.is_valid({"renewals": {}})
    assert not SCHEMA.is_valid({ISSUERS: [{"isuer": "https://id.example"}]})
    assert not SCHEMA.is_valid({ISSUERS: {}})


def test_infinity_is_allowed_where_the_reader_allows_it() -> None:
    """Taplo, which checks the file in editors, passes ``inf`` as null."""
    unbounded = [
        (table, setting)
        for table, setting in SETTINGS
        if isinstance(setting.value_type, Number) and setting.value_type.range.most == math.inf
    ]
    assert unbounded
    for table, setting in unbounded:
        assert is_read(tree(table, setting, math.inf), table, setting.name)
        assert SCHEMA.is_valid(tree(table, setting, None))
