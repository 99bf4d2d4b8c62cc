"""The installed commands, and the extras that their libraries belong to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Final

from linqi.commands.command import Command

__all__ = ["GROUP", "InstalledCommand", "installed_commands"]

GROUP: Final = "linqi.commands"
"""The entry-point group of commands; each names a `Command`."""

_REQUIREMENT: Final = re.compile(r"""([\w.-]+)[^;]*; *extra *== *["']([\w-]+)["']""")
"""A requirement of an extra, without another condition such as a platform."""

_DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "argon2": "argon2-cffi",
    "crawleruseragents": "crawler-user-agents",
    "hdrh": "hdrhistogram",
    "nacl": "pynacl",
}
"""The distributions of an extra whose module has another name, by that name."""


class InstalledCommand:
    """A command that an installed distribution registers."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry
        self.name = entry.name
        self.package = entry.module.partition(".")[0]

    @cached_property
    def command(self) -> Command:
        """The registration; raises `ImportError` or `AttributeError` if it cannot be loaded."""
        command: Command = self._entry.load()
        return command

    @property
    def summary(self) -> str:
        """The line of help, with the line that installs missing libraries."""
        try:
            summary = self.command.summary
        except (ImportError, AttributeError) as error:
            return f"cannot be loaded: {error}"
        missing = [extra for extra in self._entry.extras if not self._is_installed(extra)]
        return f"{summary} (not installed: {self.install(missing)})" if missing else summary

    def install_for(self, module: str) -> str | None:
        """Return the line that installs `module`; None if no extra has it."""
        top = module.partition(".")[0]
        name = _normalized(_DISTRIBUTIONS.get(top, top))
        own = self._entry.extras
        providing = [extra for extra, names in self._requirements.items() if name in names]
        if not own and not providing:
            return None
        return self.install(providing[:1] if providing and not {*own} & {*providing} else own)

    def install(self, extras: list[str]) -> str:
        """Return the line that installs `extras` of the distribution."""
        name = "linqi" if self._entry.dist is None else self._entry.dist.name
        return f"pip install '{name}[{','.join(extras)}]'"

    def _is_installed(self, extra: str) -> bool:
        return all(map(_has_distribution, self._requirements.get(extra, ())))

    @cached_property
    def _requirements(self) -> Mapping[str, set[str]]:
        """The distributions of each extra."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for line in (self._entry.dist and self._entry.dist.requires) or ():
            if match := _REQUIREMENT.fullmatch(line):
                found[match[2]].add(_normalized(match[1]))
        return found


def installed_commands() -> dict[str, InstalledCommand]:
    """Return every installed command by name."""
    return {entry.name: InstalledCommand(entry) for entry in entry_points(group=GROUP)}


def _has_distribution(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
