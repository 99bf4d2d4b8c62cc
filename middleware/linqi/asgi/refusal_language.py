"""The language of a response, chosen by ``Accept-Language`` (RFC 9110, section 12.5.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from linqi.asgi._http import Headers

__all__ = ["LANGUAGE_TAG", "Languages"]

LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,7}")
_RANGE: Final = re.compile(
    r"[ \t]*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)"
    r"[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
_MOST_BYTES: Final = 1024
_MOST_RANGES: Final = 32
_MOST_REMEMBERED: Final = 256
_LONGEST_REMEMBERED: Final = 128
_SAME: Final = {"zh-hans": "zh-cn", "zh-sg": "zh-cn"}
"""Ranges that mean Simplified Chinese, which browsers and most applications call ``zh-CN``."""


class Languages:
    """The languages of an application, of which a request gets the one it prefers.

    Malformed ranges are ignored. At most 1,024 bytes and 32 ranges are read, so that a hostile
    header costs no more than an honest one.

    Args:
        tags: The language tags (RFC 5646) that there are texts in.
        default: The one of them for requests that accept none of them, or any.

    Attributes:
        default: The same, spelt as among `tags`.

    """

    def __init__(self, tags: Iterable[str], default: str) -> None:
        self._tags = {tag.lower(): tag for tag in tags}
        self.default = self._tags[default.lower()]
        self._remembered: dict[bytes, str] = {}

    def choose(self, headers: Headers) -> str:
        """Return the language for a request with `headers`."""
        value = _accepted(headers)
        if not value:
            return self.default
        found = self._remembered.get(value)
        if found is None:
            found = self._preferred(value)
            if len(value) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[value] = found
        return found

    def _preferred(self, value: bytes) -> str:
        ranges = sorted(_ranges(value), key=lambda found: -found[1])
        refused = {self._match(name) for name, quality in ranges if quality == 0}
        others = (tag for tag in (self.default, *self._tags.values()) if tag not in refused)
        other = next(others, None)
        for name, quality in ranges:
            tag = other if name == "*" else self._match(name)
            if quality > 0 and tag is not None and tag not in refused:
                return tag
        return self.default

    def _match(self, name: str) -> str | None:
        """Return the tag that the range `name` selects: RFC 4647, sections 3.3.1 and 3.4."""
        if name in self._tags:
            return self._tags[name]
        for tag in self._tags:
            if tag.startswith(f"{name}-"):
                return self._tags[tag]
        shorter = _SAME.get(name, name)
        while shorter:
            if shorter in self._tags:
                return self._tags[shorter]
            shorter = shorter.rpartition("-")[0]
            shorter = _SAME.get(shorter, shorter)
        return None


def _accepted(headers: Headers) -> bytes:
    """Return the ``Accept-Language`` lines as one list (RFC 9110, section 5.3), cut to the bound.

    A range that the cut would split is left out.
    """
    value = b""
    for name, line in headers:
        if name == b"accept-language":
            value = b"%b,%b" % (value, line[: _MOST_BYTES + 1]) if value else line
            if len(value) > _MOST_BYTES:
                return value[:_MOST_BYTES].rpartition(b",")[0]
    return value


def _ranges(value: bytes) -> Iterator[tuple[str, float]]:
    """Yield the well-formed ranges in lower case, each with its weight."""
    for item in value.decode("latin-1").split(",", _MOST_RANGES)[:_MOST_RANGES]:
        if (found := _RANGE.fullmatch(item)) is not None:
            yield found[1].lower(), float(found[2] or 1)
