"""The parser of all commands: it names what a misspelt word may have meant."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NoReturn

__all__ = ["CommandParser", "nearest"]

_SHOWN: Final = 64
"""Of a word that was not understood; it may be a token."""
_NO_DEFAULT: Final = (None, False, "", math.inf, argparse.SUPPRESS)
_UNITS: Final = {"seconds": "SECONDS", "mb": "MB", "bits": "BITS", "url": "URL"}
"""How the value of an option is shown, by the last word of its name."""


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the one of `known` that `word` begins or resembles; None if there is none."""
    from difflib import get_close_matches

    word = word[:_SHOWN]
    begun = [name for name in known if word.strip("-") and name.startswith(word)]
    near = begun or get_close_matches(word, known, 1)
    return near[0] if near else None


class CommandParser(argparse.ArgumentParser):
    """A parser without abbreviations, whose errors say what may have been meant.

    An abbreviation in a script would change its meaning, or stop working, with the next option
    that begins alike.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": _HelpText, **options})
        self._given: list[str] = []

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse `args`; words that are no argument of this parser are an error at once."""
        self._given = [*sys.argv[1:]] if args is None else [*args]
        found, unknown = super().parse_known_args(self._given, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(map(_shown, unknown))}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print `message`, what may have been meant, and where the options are shown; exit 2."""
        lines = [f"{self.prog}: error: {message}", *self._meant()]
        self.exit(2, "\n".join([*lines, f"`{self.prog} --help` shows how to call it\n"]))

    def _meant(self) -> Iterable[str]:
        """Yield a line for each unknown option that resembles a known one."""
        options, words = self._option_string_actions, self._given
        if self._subparsers is not None:  # what follows its name belongs to the command
            words = [*takewhile(lambda word: word.startswith("-"), words)]
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("-") and name not in options:
                near = nearest(name, options)
                if near is not None:
                    yield f"{_shown(name)} is no option; did you mean {near}?"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = action.choices
        if choices is None or value in choices:
            return
        known = [str(choice) for choice in choices]
        near = nearest(str(value), known)
        advice = f"did you mean {near}? " if near else ""
        expected = f"invalid choice {_shown(str(value))!r}; {advice}choose from {', '.join(known)}"
        raise argparse.ArgumentError(action, expected)


class _HelpText(argparse.HelpFormatter):
    """Shows the default of every option and the unit of its value; a text of lines stays so."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        has_default = action.default not in _NO_DEFAULT and action.default != []
        if not text or not has_default or "default" in text or action.nargs == 0:
            return text
        return f"{text} (default: %(default)s)"

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        last = action.option_strings[-1].rpartition("-")[2]
        if last in _UNITS:
            return _UNITS[last]
        if action.type is Path:
            return "FILE"
        if action.type in (int, float):
            return "N"
        return last.upper()


def _shown(word: str) -> str:
    """Return the name of an option without its value, or the beginning of another word."""
    name = word.partition("=")[0] if word.startswith("-") else word
    return f"{name[:_SHOWN]}..." if len(name) > _SHOWN else name
