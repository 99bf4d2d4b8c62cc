"""The types of values in ``linqi.toml``: each describes, checks and parses its values."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from linqi._ranges import Range

__all__ = [
    "LONGEST_STRING",
    "Boolean",
    "Choice",
    "ClaimNames",
    "Instant",
    "Number",
    "Numbers",
    "RequiredClaims",
    "String",
    "StringList",
    "Texts",
    "ValueType",
    "display_value",
    "unix_seconds",
]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?|inf)")
LONGEST_STRING: Final = 4096
_LONGEST_SHOWN: Final = 60
_WIDEST_INTEGER: Final = 64
_DEEPEST_TABLE: Final = 16
"""Claims are not nested deeper in the tokens that are read."""


class ValueType(Protocol):
    """A type of values."""

    @property
    def description(self) -> str:
        """Return what is expected, for a message after the word "expected"."""
        ...

    def fits(self, value: object) -> bool:
        """Return whether a TOML value is of this type; exact about types, never raises."""
        ...

    def parse(self, text: str) -> object:
        """Return the value of a variable's text; text that cannot be parsed does not fit."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range, or a whole number where the range asks for one."""

    range: Range

    @property
    def description(self) -> str:
        """Return what is expected, such as ``a number of seconds, above 0 to 3600``."""
        what = "a whole number" if self.range.is_whole else "a number"
        return f"{what}{f' of {self.range.unit}' if self.range.unit else ''}, {self.range.span}"

    def fits(self, value: object) -> bool:
        """Return whether `value` is an integer or a float in the range."""
        return type(value) in (int, float) and value in self.range

    def parse(self, text: str) -> object:
        """Return the number that `text` writes, with a fraction and an exponent if allowed."""
        text = text.strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        return float(text) if not self.range.is_whole and _NUMBER.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    description: str = "true or false"

    def fits(self, value: object) -> bool:
        """Return whether `value` is a boolean."""
        return type(value) is bool

    def parse(self, text: str) -> object:
        """Return the boolean that `text` names, in any case."""
        return {"true": True, "false": False}.get(text.strip().lower(), text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; true and false may be among them."""

    values: tuple[str | bool, ...]

    @property
    def description(self) -> str:
        """Return what is expected."""
        return "one of " + ", ".join(display_value(value) for value in self.values)

    def fits(self, value: object) -> bool:
        """Return whether `value` is one of the values."""
        return any(type(value) is type(known) and value == known for known in self.values)

    def parse(self, text: str) -> object:
        """Return the word, or the boolean if that is among the values."""
        flag = Boolean().parse(text)
        return flag if flag in self.values and type(flag) is bool else text.strip()


@dataclass(frozen=True, slots=True)
class String:
    """A string that is not empty and has only printable characters."""

    description: str = "a string"
    pattern: str = ""
    """A regular expression that the whole string must match; empty allows every string."""

    def fits(self, value: object) -> bool:
        """Return whether `value` is such a string."""
        return (
            isinstance(value, str)
            and 0 < len(value) <= LONGEST_STRING
            and value.isprintable()
            and (not self.pattern or re.fullmatch(self.pattern, value) is not None)
        )

    def parse(self, text: str) -> object:
        """Return the text unchanged."""
        return text


@dataclass(frozen=True, slots=True)
class StringList:
    """A list of strings."""

    description: str = "a list of strings"
    choices: tuple[str, ...] = ()
    """The only strings allowed; empty allows all."""
    pattern: str = ""
    """A regular expression that each whole string must match; empty allows every string."""
    least: int = 0
    """The least number of strings."""

    def fits(self, value: object) -> bool:
        """Return whether `value` is a list of such strings, none of them twice."""
        if not isinstance(value, list | tuple) or len(value) < self.least:
            return False
        return all(
            String(pattern=self.pattern).fits(item) and (not self.choices or item in self.choices)
            for item in value
        ) and len(set(value)) == len(value)

    def parse(self, text: str) -> object:
        """Return the strings between commas; an empty text is an empty list."""
        return [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """A list of names of claims; a list in it has the names on the way to a nested one."""

    description: str = "a list of claim names, or of lists of the names on the way to one"

    def fits(self, value: object) -> bool:
        """Return whether `value` is such a list."""
        if not isinstance(value, list | tuple):
            return False
        return all(
            bool(name) and all(map(String().fits, name))
            if isinstance(name, list | tuple)
            else String().fits(name)
            for name in value
        )

    def parse(self, text: str) -> object:
        """Return the names between commas."""
        return StringList().parse(text)


@dataclass(frozen=True, slots=True)
class Instant:
    """A date with a time and its zone, or a date, which is its first instant in UTC."""

    description: str = "a date such as 2027-03-01, or with a time and a zone: 2027-03-01T12:00:00Z"

    def fits(self, value: object) -> bool:
        """Return whether `value` is a date, or a date with a time and a zone."""
        if isinstance(value, datetime.datetime):  # which is a date as well
            return value.tzinfo is not None
        return isinstance(value, datetime.date)

    def parse(self, text: str) -> object:
        """Return the date that `text` writes as TOML does."""
        text = text.strip()
        read = datetime.date if len(text) == len("2027-03-01") else datetime.datetime
        try:
            return read.fromisoformat(text)
        except ValueError:
            return text


def unix_seconds(instant: datetime.date | None) -> float:
    """Return the Unix seconds of a value of `Instant`; 0 for None."""
    if instant is None:
        return 0.0
    if not isinstance(instant, datetime.datetime):
        first = datetime.time(tzinfo=datetime.UTC)
        instant = datetime.datetime.combine(instant, first)
    return instant.timestamp()


@dataclass(frozen=True, slots=True)
class RequiredClaims:
    """Names of claims, or a table of the values that each may have, or a list of both."""

    description: str = (
        'a list of claim names, or a table such as { token_use = "access", email_verified = true }'
    )

    def fits(self, value: object) -> bool:
        """Return whether `value` is such a list or table."""
        items = value if isinstance(value, list | tuple) else [value]
        tables = [item for item in items if isinstance(item, Mapping)]
        names = [item for item in items if not isinstance(item, Mapping)]
        is_list = isinstance(value, list | tuple) or not names
        return (
            is_list
            and ClaimNames().fits(names)
            and all(self._is_table(table, _DEEPEST_TABLE) for table in tables)
        )

    def parse(self, text: str) -> object:
        """Return the text, which never fits: a variable cannot hold a table."""
        return text

    def _is_table(self, value: Mapping[object, object], deepest: int) -> bool:
        return deepest > 0 and all(
            String().fits(name)
            and (
                self._is_table(wanted, deepest - 1)
                if isinstance(wanted, Mapping)
                else bool(wanted) and all(map(_is_scalar, wanted))
                if isinstance(wanted, list | tuple)
                else _is_scalar(wanted)
            )
            for name, wanted in value.items()
        )


@dataclass(frozen=True, slots=True)
class Texts:
    """A table of tables of strings, such as one table of texts for each language."""

    description: str = "a table of tables of strings"

    def fits(self, value: object) -> bool:
        """Return whether `value` is such a table."""
        return isinstance(value, Mapping) and all(
            isinstance(table, Mapping) and all(String().fits(text) for text in table.values())
            for table in value.values()
        )

    def parse(self, text: str) -> object:
        """Return the text, which never fits: a variable cannot hold a table."""
        return text


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table of whole numbers."""

    description: str = "a table of whole numbers"

    def fits(self, value: object) -> bool:
        """Return whether `value` is such a table."""
        return isinstance(value, Mapping) and all(type(item) is int for item in value.values())

    def parse(self, text: str) -> object:
        """Return the text, which never fits: a variable cannot hold a table."""
        return text


def _is_scalar(value: object) -> bool:
    """Return whether `value` is a string, a boolean or a finite number."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) in (bool, int) or String().fits(value)


def display_value(value: object) -> str:
    """Return `value` as TOML, cut to the length of a message, without any password."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # A hexadecimal integer may have more digits than Python will print.
        wide = value.bit_length()
        return str(value) if wide <= _WIDEST_INTEGER else f"(an integer of {wide} bits)"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"(an array of {len(value)})" if len(value) > 4 else _listed(value)
    return "(a table)" if isinstance(value, Mapping) else f"(a {type(value).__name__})"


def _listed(values: list[object] | tuple[object, ...]) -> str:
    flat = [
        "(an array)" if isinstance(value, list | tuple) else display_value(value)
        for value in values
    ]
    return f"[{', '.join(flat)}]"


def _quoted(text: str) -> str:
    if "PRIVATE KEY" in text:
        return "(a private key)"
    if password := _password_of(text):
        text = text.replace(password, "***")
    escaped = text.encode("unicode_escape").decode("ascii")
    cut = escaped if len(escaped) <= _LONGEST_SHOWN else escaped[:_LONGEST_SHOWN] + "..."
    return f'"{cut}"'


def _password_of(text: str) -> str | None:
    try:
        return urlsplit(text).password
    except ValueError:
        return None
