"""The examples and the exit codes at the end of a command's ``--help``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

__all__ = ["COMMON_EXITS", "EXIT_CODES", "CommandHelp", "Example", "explain"]

_WIDTH: Final = 78

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "success",
    1: "the command did its work and found a problem, such as a refused token",
    2: "a wrong call, a missing library or file, an unusable configuration, or a service that"
    " does not answer",
    3: "a storm was void: its generator did not keep up, so it shows nothing",
    130: "interrupted by Ctrl-C",
}
"""What an exit code means in every command."""

COMMON_EXITS: Final = (2, 130)
"""The exit codes that every command has, and with the same words."""


class Example(NamedTuple):
    """A call of a command."""

    line: str
    """What is typed into a shell."""
    meaning: str
    """What it does or prints, in a few words."""


class CommandHelp(NamedTuple):
    """What ``--help`` says of a command after its options.

    The module of a command, or of an action of ``linqi store``, has it as ``HELP``.
    """

    examples: Sequence[Example]
    exits: Mapping[int, str]
    """What 0, and 1 or 3 if the command has them, mean here; 2 and 130 are added."""

    def every_exit(self) -> dict[int, str]:
        """Return what each exit code of the command means, in the order of the codes."""
        common = {code: EXIT_CODES[code] for code in COMMON_EXITS}
        return dict(sorted({**self.exits, **common}.items()))


def explain(parser: argparse.ArgumentParser, told: CommandHelp) -> None:
    """Let ``--help`` of `parser` end with the examples and the exit codes."""
    lines = ["examples:"]
    for line, meaning in told.examples:
        lines += [f"  {line}", *_wrapped(meaning, " " * 6)]
    lines += ["", "exit codes:"]
    for code, meaning in told.every_exit().items():
        lines += _wrapped(meaning, f"  {code:<4} ")
    parser.epilog = "\n".join(lines)


def _wrapped(text: str, begin: str) -> list[str]:
    indent = " " * len(begin)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False
    )
