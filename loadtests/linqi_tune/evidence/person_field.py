"""The field of a log that names the person: ``--log-session``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.evidence.log_engine import literal
from linqi_tune.evidence.log_fields import FIELD_NAMES

__all__ = ["PersonField"]

_COOKIE: Final = "cookie:"
_ADDRESSES: Final = ("host", "address")
_TOKENS: Final = r'(?:[A-Za-z_][A-Za-z0-9_.-]*=)?(?:"[^"]*"|[^\s"]+)'


@dataclass(frozen=True, slots=True)
class PersonField:
    """Which value of a line tells persons apart.

    Attributes:
        text: ``user``; ``address`` (or ``host``); ``cookie:NAME``; the place, from 1, or the name
            of a field after the user agent; or the name of a field, a column or a member.

    Raises:
        ConfigurationError: It is empty, or has a control character.

    """

    text: str

    def __post_init__(self) -> None:
        if not self.text.removeprefix(_COOKIE):
            raise ConfigurationError(
                ["--log needs --log-session: the field of the log that tells persons apart"]
            )
        if any(ord(character) < 32 for character in self.text):
            raise ConfigurationError([f"--log-session is {self.text!r}, expected a field's name"])

    @property
    def is_address(self) -> bool:
        """Whether persons are told apart by their network address."""
        return self.text in _ADDRESSES

    @property
    def names(self) -> Sequence[str]:
        """The fields that hold the value itself, the first that a log has."""
        if self.text == "user":
            return FIELD_NAMES["user"]
        if self.is_address:
            return FIELD_NAMES["address"]
        if self.text.startswith(_COOKIE):
            name = self.text.removeprefix(_COOKIE)
            return (f"cookie_{name}", f"request.cookies.{name}")
        return (self.text,)

    def value(self) -> str:
        """Return the value as SQL over the columns `person`, `cookies` and `rest`."""
        if self.text == "user":
            return "person"
        if self.is_address:
            return _first_address("person")
        if self.text.startswith(_COOKIE):
            name = re.escape(self.text.removeprefix(_COOKIE))
            pattern = literal(rf"(?:^|;(?:%20|[ +])*){name}=([^;]*)")
            return f"coalesce(person, nullif(regexp_extract(cookies, {pattern}, 1), ''))"
        if self.text.isascii() and self.text.isdecimal():
            token = f"regexp_extract_all(rest, {literal(_TOKENS)})[{int(self.text[:9])}]"
            value = rf"regexp_replace({token}, '^[A-Za-z_][A-Za-z0-9_.-]*=', '')"
            return f"coalesce(person, trim({value}, '\"'))"
        pattern = literal(rf'(?:^|\s){re.escape(self.text)}=(?:"([^"]*)"|([^\s"]+))')
        found = [f"nullif(regexp_extract(rest, {pattern}, {n}), '')" for n in (1, 2)]
        return f"coalesce(person, {', '.join(found)})"


def _first_address(column: str) -> str:
    """Return the first address of a list, without its port."""
    first = f"trim(split_part({column}, ',', 1))"
    return rf"regexp_replace({first}, '^\[?([0-9A-Fa-f:.]+?)\]?(?::[0-9]+)?$', '\1')"
