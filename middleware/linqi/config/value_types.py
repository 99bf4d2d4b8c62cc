"""What a value of ``linqi.toml`` may be, in words and as a test."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

__all__ = [
    "Boolean",
    "Choice",
    "Integer",
    "Number",
    "RequiredClaims",
    "String",
    "StringList",
    "ValueType",
    "display_value",
]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?|inf)")
_LONGEST_TEXT: Final = 4096
_LONGEST_SHOWN: Final = 60
_WIDEST_INTEGER: Final = 64


class ValueType(Protocol):
    """One kind of value."""

    @property
    def description(self) -> str:
        """What is expected, for a message that goes on after "expected"."""
        ...

    def fits(self, value: object) -> bool:
        """Tell whether a value of TOML is of this kind; exact about types, never raises."""
        ...

    def parse(self, text: str) -> object:
        """Read the text of an environment variable; what it cannot read does not fit."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`, neither NaN nor a truth value."""

    least: float
    most: float
    unit: str = ""
    is_above: bool = False
    """Whether `least` itself is too little."""

    @property
    def description(self) -> str:
        """What is expected."""
        return _range("a number", self.unit, self.least, self.most, is_above=self.is_above)

    def fits(self, value: object) -> bool:
        """Tell whether `value` is an integer or a float within the range."""
        if type(value) not in (int, float):
            return False
        number: Any = value
        return bool(
            (self.least < number if self.is_above else self.least <= number) and number <= self.most
        )

    def parse(self, text: str) -> object:
        """Read digits with an optional fraction and exponent."""
        text = text.strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer from `least` to `most`."""

    least: int
    most: int
    unit: str = ""

    @property
    def description(self) -> str:
        """What is expected."""
        return _range("a whole number", self.unit, self.least, self.most, is_above=False)

    def fits(self, value: object) -> bool:
        """Tell whether `value` is an integer within the range."""
        number: Any = value
        return type(value) is int and self.least <= number <= self.most

    def parse(self, text: str) -> object:
        """Read digits."""
        return int(text) if _WHOLE.fullmatch(text.strip()) else text


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    description: str = "true or false"

    def fits(self, value: object) -> bool:
        """Tell whether `value` is a truth value."""
        return type(value) is bool

    def parse(self, text: str) -> object:
        """Read ``true`` or ``false``."""
        return {"true": True, "false": False}.get(text.strip().lower(), text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, and perhaps true or false."""

    values: tuple[str | bool, ...]

    @property
    def description(self) -> str:
        """What is expected."""
        return "one of " + ", ".join(display_value(value) for value in self.values)

    def fits(self, value: object) -> bool:
        """Tell whether `value` is one of the values."""
        return any(type(value) is type(known) and value == known for known in self.values)

    def parse(self, text: str) -> object:
        """Read one of the words, or a truth value where that is among them."""
        flag = Boolean().parse(text)
        return flag if flag in self.values and type(flag) is bool else text.strip()


@dataclass(frozen=True, slots=True)
class String:
    """A string that is not empty and has no control characters."""

    description: str = "a string"
    pattern: str = ""
    """What all of it must match; empty allows everything."""

    def fits(self, value: object) -> bool:
        """Tell whether `value` is such a string."""
        return (
            isinstance(value, str)
            and 0 < len(value) <= _LONGEST_TEXT
            and value.isprintable()
            and (not self.pattern or re.fullmatch(self.pattern, value) is not None)
        )

    def parse(self, text: str) -> object:
        """Give the text as it is."""
        return text


@dataclass(frozen=True, slots=True)
class StringList:
    """A list of strings."""

    description: str = "a list of strings"
    choices: tuple[str, ...] = ()
    """The only strings allowed; empty allows all."""
    pattern: str = ""
    """What all of each must match; empty allows everything."""
    least: int = 0
    """How many there must be."""

    def fits(self, value: object) -> bool:
        """Tell whether `value` is a list of different such strings."""
        if not isinstance(value, list | tuple) or len(value) < self.least:
            return False
        return all(
            String(pattern=self.pattern).fits(item) and (not self.choices or item in self.choices)
            for item in value
        ) and len(set(value)) == len(value)

    def parse(self, text: str) -> object:
        """Read strings that are parted by commas; an empty text is an empty list."""
        return [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True, slots=True)
class RequiredClaims:
    """A list of claim names, or a table of what each must be: a string or a list of them."""

    description: str = 'a list of claim names, or a table such as { token_use = "access" }'

    def fits(self, value: object) -> bool:
        """Tell whether `value` is one of both."""
        if not isinstance(value, Mapping):
            return StringList().fits(value)
        return all(
            String().fits(name) and (String().fits(wanted) or StringList(least=1).fits(wanted))
            for name, wanted in value.items()
        )

    def parse(self, text: str) -> object:
        """Give the text, which never fits: there is no way to write a table in a variable."""
        return text


def display_value(value: object) -> str:
    """Give `value` as TOML would write it, short enough for a message, without any password."""
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


def _range(what: str, unit: str, least: float, most: float, *, is_above: bool) -> str:
    of = f" of {unit}" if unit else ""
    above = "above " if is_above else ""
    return f"{what}{of}, {above}{_digits(least)} to {_digits(most)}"


def _digits(number: float) -> str:
    return str(int(number)) if math.isfinite(number) and number % 1 == 0 else f"{number:g}"
