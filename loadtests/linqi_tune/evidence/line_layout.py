"""Lines of text by a format string: each variable as an expression of SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from linqi_tune.evidence.format_strings import Part, parts_of
from linqi_tune.evidence.log_engine import identifier, literal

__all__ = ["LineLayout"]

_PATTERNS: Final = {
    # A list of addresses, each after the proxy that added it.
    "http_x_forwarded_for": "[^ ,]+(?:, ?[^ ,]+)*",
    "server_name": "[^ ,]+",
    "status": "[0-9]{3}|-",
    "captured": r"(?:\{[^}]*\} )*",
}
_UNESCAPED: Final = (
    "CASE WHEN contains(line, '\\') THEN"
    " replace(replace(line, '\\\\', chr(2)), '\\\"', chr(3)) ELSE line END"
)
"""A line in which every quote is one of the format's: escaped ones are other characters."""


@dataclass(frozen=True)
class _Piece:
    """What lies between two quotes, or outside of them."""

    parts: tuple[Part, ...]
    number: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, is_variable in self.parts if is_variable)

    @property
    def is_one_variable(self) -> bool:
        return len(self.parts) == 1 and self.parts[0][1]

    def pattern(self, wanted: Sequence[str], is_open: bool) -> str:
        """Return the regular expression; only what is wanted is captured, for speed."""
        built = ["^"]
        for place, (text, is_variable) in enumerate(self.parts):
            if not is_variable:
                built.append(re.escape(text) if text.strip() else text)
                continue
            following = self.parts[place + 1][0] if place + 1 < len(self.parts) else ""
            value = _PATTERNS.get(text) or _until(following)
            is_first = text in wanted and text not in self.names[: self._index(place)]
            built.append(f"({value})" if is_first else f"(?:{value})")
        return "".join(built) + ("" if is_open else "$")

    def _index(self, place: int) -> int:
        return sum(is_variable for _, is_variable in self.parts[:place])


def _until(following: str) -> str:
    """Return the pattern of a variable that ends before the literal `following`."""
    return f"[^{re.escape(following[0])}]+" if following else ".+"


class LineLayout:
    """The lines that a format string describes.

    A line is split at its quotes, which is ten times as fast as one regular expression for all of
    it; what lies outside of the quotes is matched by short expressions. ``$rest`` at the end stands
    for whatever follows.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        parts = parts_of(text)
        self._has_rest = parts[-1] == ("rest", True)
        self._pieces = _pieces_of(parts[:-1] if self._has_rest else parts)
        self.fields = {name: piece for piece in self._pieces for name in reversed(piece.names)}

    def select(self, lines: str, wanted: Mapping[str, Sequence[str]]) -> str:
        """Return SQL with a column for each part of `wanted`, `rest` and `fits`.

        `lines` is SQL with a column `line`; `wanted` has, for each column, the names of the
        variables to take it from, the first of them that the format has.
        """
        taken = {
            column: next((name for name in names if name in self.fields), None)
            for column, names in wanted.items()
        }
        used = {name for name in taken.values() if name}
        captured = {
            piece.number: sorted(used & set(piece.names), key=piece.names.index)
            for piece in self._pieces
            if not piece.is_one_variable and used & set(piece.names)
        }
        columns = [
            f"{self._value(name) if name else 'NULL'} AS {column}" for column, name in taken.items()
        ]
        count = len(self._pieces)
        rest = f"array_to_string(p[{count}:], '\"')" if self._has_rest else "''"
        fits = [f"len(p) {'>=' if self._has_rest else '='} {count}"]
        fits += [self._fit(piece, captured) for piece in self._pieces if not piece.is_one_variable]
        found = [self._captures(self._pieces[n - 1], names) for n, names in captured.items()]
        split = f"SELECT string_split({_UNESCAPED}, '\"') AS p FROM ({lines})"
        return (
            f"SELECT {', '.join(columns)}, {rest} AS rest, ({' AND '.join(fits)}) AS fits"
            f" FROM (SELECT {', '.join(['p', *found])} FROM ({split}))"
        )

    def _fit(self, piece: _Piece, captured: Mapping[int, Sequence[str]]) -> str:
        """Return the condition under which a piece has its form; a capture is never empty."""
        if piece.number in captured:
            return f"m{piece.number}.{identifier(captured[piece.number][0])} <> ''"
        text, is_open = f"p[{piece.number}]", self._is_open(piece)
        if not piece.names:
            fixed = literal("".join(text for text, _ in piece.parts))
            return f"starts_with({text}, {fixed})" if is_open else f"{text} = {fixed}"
        return f"regexp_matches({text}, {literal(piece.pattern((), is_open))})"

    def _captures(self, piece: _Piece, names: Sequence[str]) -> str:
        pattern = literal(piece.pattern(names, self._is_open(piece)))
        listed = ", ".join(map(literal, names))
        return f"regexp_extract(p[{piece.number}], {pattern}, [{listed}]) AS m{piece.number}"

    def _is_open(self, piece: _Piece) -> bool:
        return self._has_rest and piece is self._pieces[-1]

    def _value(self, name: str) -> str:
        piece = self.fields[name]
        return (
            f"p[{piece.number}]" if piece.is_one_variable else f"m{piece.number}.{identifier(name)}"
        )


def _pieces_of(parts: Sequence[Part]) -> tuple[_Piece, ...]:
    """Return the parts between the quotes of the format, in turn outside and inside of them."""
    pieces: list[list[Part]] = [[]]
    for text, is_variable in parts:
        if is_variable:
            pieces[-1].append((text, True))
            continue
        first, *others = text.split('"')
        pieces[-1] += [(first, False)] if first else []
        pieces += [[(other, False)] if other else [] for other in others]
    return tuple(_Piece(tuple(piece), number) for number, piece in enumerate(pieces, 1))
