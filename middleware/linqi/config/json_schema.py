"""The JSON Schema of ``linqi.toml``, for editors that complete and check the file."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from linqi.config.issuer_table import IssuerTable
from linqi.config.schema import ISSUERS, MOST_ISSUERS, TABLES
from linqi.config.setting import Setting, settings_of
from linqi.config.template import expectation, toml_of
from linqi.config.value_types import (
    LONGEST_STRING,
    Boolean,
    Choice,
    ClaimNames,
    Instant,
    Number,
    Numbers,
    RequiredClaims,
    String,
    StringList,
    Texts,
    ValueType,
)

__all__ = ["json_schema", "schema_text"]


def json_schema() -> dict[str, Any]:
    """Return the schema, of draft 7, which editors of TOML read.

    It allows every file that `linqi.config.read` accepts. What depends on several settings, on
    other files or on the characters of a text, only ``linqi check`` finds.
    """
    tables = {name: _table(table) for name, table in TABLES.items()}
    issuers = {"type": "array", "description": _first_line(IssuerTable), "maxItems": MOST_ISSUERS}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "linqi.toml",
        "description": "The settings of linqi.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**tables, ISSUERS: {**issuers, "items": _table(IssuerTable)}},
    }


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _table(table: type[Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": _first_line(table),
        "additionalProperties": False,
        "properties": {name: _key(setting) for name, setting in settings_of(table).items()},
    }


def _key(setting: Setting) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": f"{setting.meaning} {expectation(setting)}".strip(),
        **_FORMS[type(setting.value_type)](setting.value_type),
    }
    if setting.default is not None and setting.default != math.inf:  # JSON has no infinity
        described["default"] = setting.default
    if setting.example is not None:
        is_date = isinstance(setting.example, datetime.date)
        described["examples"] = [toml_of(setting.example) if is_date else setting.example]
    return described


def _first_line(table: type[Any]) -> str:
    return (table.__doc__ or "").partition("\n")[0]


def _number(kind: Number) -> dict[str, Any]:
    span = kind.range
    least = "exclusiveMinimum" if span.is_above else "minimum"
    found: dict[str, Any] = {"type": "integer" if span.is_whole else "number", least: span.least}
    if span.most == math.inf:  # JSON has no infinity, and Taplo passes inf as null
        return {**found, "type": ["number", "null"]}
    return {**found, "maximum": span.most}


def _choice(kind: Choice) -> dict[str, Any]:
    return {"enum": list(kind.values)}


def _string(kind: String) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_STRING}
    return {**found, "pattern": f"^(?:{kind.pattern})$"} if kind.pattern else found


def _strings(kind: StringList) -> dict[str, Any]:
    item = {"enum": list(kind.choices)} if kind.choices else _string(String(pattern=kind.pattern))
    return {"type": "array", "items": item, "uniqueItems": True, "minItems": kind.least}


def _claim_names(_: ClaimNames) -> dict[str, Any]:
    text = _string(String())
    path = {"type": "array", "items": text, "minItems": 1}
    return {"type": "array", "items": {"anyOf": [text, path]}}


def _required_claims(_: RequiredClaims) -> dict[str, Any]:
    value = {"anyOf": [_string(String()), {"type": ["boolean", "number"]}]}
    values = {"type": "array", "items": value, "minItems": 1}
    wanted = {"anyOf": [*value["anyOf"], values, {"type": "object"}]}
    table = {"type": "object", "additionalProperties": wanted}
    names = _claim_names(ClaimNames())
    return {
        "anyOf": [table, {**names, "items": {"anyOf": [*names["items"]["anyOf"], table]}}],
    }


def _texts(_: Texts) -> dict[str, Any]:
    table = {"type": "object", "additionalProperties": _string(String())}
    return {"type": "object", "additionalProperties": table}


_FORMS: Final[Mapping[type[ValueType], Callable[[Any], dict[str, Any]]]] = {
    Boolean: lambda _: {"type": "boolean"},
    Choice: _choice,
    ClaimNames: _claim_names,
    # Editors pass a date of TOML as a text.
    Instant: lambda _: {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"},
    Number: _number,
    Numbers: lambda _: {"type": "object", "additionalProperties": {"type": "integer"}},
    RequiredClaims: _required_claims,
    String: _string,
    StringList: _strings,
    Texts: _texts,
}
