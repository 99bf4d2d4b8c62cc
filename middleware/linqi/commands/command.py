"""A command of the command line, as the package that owns it registers it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the help shows of a command, and where the rest is.

    A package registers one under the entry-point group ``linqi.commands``; extras of the entry
    point are those of the distribution that the command needs.
    """

    summary: str
    """One line of help."""
    module: str
    """The module with ``add_options(parser)`` and ``run(arguments)``, which returns the exit code.

    It is imported only when the command is called, so that help and other commands stay quick.
    """
