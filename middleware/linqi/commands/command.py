"""The registration of a command, by the package that owns it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Command"]


class Command(NamedTuple):
    """A command: its line of help, and the module that runs it.

    It is a named tuple because ``dataclasses`` takes a fifteenth of the time of ``linqi --help``.

    A package registers it under the entry-point group ``linqi.commands``. The extras of the entry
    point are the extras of the distribution that the command needs.
    """

    summary: str
    """One line of help."""
    module: str
    """The module with ``add_options(parser)`` and ``run(arguments)``, which returns the exit code.

    It is imported only to run the command, so that help and other commands start fast.
    """
