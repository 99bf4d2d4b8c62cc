"""A new ``linqi.toml`` with every key, its meaning and its default."""

from __future__ import annotations

import datetime
import json
import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from linqi.config.issuer_table import IssuerTable
from linqi.config.reader import variable_of
from linqi.config.schema import ISSUERS, SCHEMA_FILE, TABLES
from linqi.config.setting import Setting, settings_of
from linqi.config.value_types import Choice, Number, StringList

__all__ = ["expectation", "template", "toml_of"]

_WIDTH: Final = 96
_SEEDS: Final = {("verify", "issuer"), ("verify", "audience"), ("keys", "file")}
"""The keys that a new file sets to their example, because nothing works without them."""


def template() -> str:
    """Return the text of a new file: every key with its default, and placeholders to replace."""
    return "\n".join(_lines()) + "\n"


def expectation(setting: Setting) -> str:
    """Return the allowed values as a sentence; empty if the meaning or the default shows them."""
    kind = setting.value_type
    if isinstance(kind, Number):
        return f"{kind.range}.".capitalize()
    if isinstance(kind, Choice) or (isinstance(kind, StringList) and kind.choices):
        return f"{kind.description[:1].upper()}{kind.description[1:]}."
    return ""


def toml_of(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)  # a JSON string is a basic string of TOML
    if isinstance(value, datetime.date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_of(item) for item in value)}]"
    if isinstance(value, Mapping):
        members = (f"{_toml_key(name)} = {toml_of(item)}" for name, item in value.items())
        return f"{{ {', '.join(members)} }}"
    return "inf" if value == math.inf else repr(value)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _lines() -> Iterator[str]:
    yield f"#:schema ./{SCHEMA_FILE}"
    example = variable_of("renewal", "buffer_seconds")
    yield from _comment(
        "The settings of linqi; `linqi check` finds faults and unsafe settings. An environment"
        f" variable overrides a key: {example}=120. Relative paths start at this file's folder."
        f" Editors complete its keys by {SCHEMA_FILE}, which `linqi schema` prints."
    )
    for name, table in TABLES.items():
        yield ""
        yield from _comment(table.__doc__ or "")
        yield f"[{name}]"
        for setting in settings_of(table).values():
            yield from _key(setting, is_seeded=(name, setting.name) in _SEEDS)
    yield ""
    yield from _comment(IssuerTable.__doc__ or "")
    yield f"# [[{ISSUERS}]]"
    for setting in settings_of(IssuerTable).values():
        yield from _key(setting, is_example=True)


def _key(setting: Setting, *, is_seeded: bool = False, is_example: bool = False) -> Iterator[str]:
    yield from _comment(f"{setting.meaning} {expectation(setting)}".strip())
    is_absent = setting.default is None or (
        setting.default in ((), {}) and setting.example is not None
    )
    value = setting.example if is_absent else setting.default
    mark = "# " if is_example or (is_absent and not is_seeded) else ""
    yield f"{mark}{setting.name} = {toml_of(value)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
