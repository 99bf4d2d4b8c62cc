"""Which requests of a log count: ``--exclude`` and ``--only``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.evidence.log_engine import literal

__all__ = ["FIELDS", "KINDS", "LogSelection"]

FIELDS: Final = ("person", "path", "agent", "method", "status")
KINDS: Final = {
    "bots": "requests of crawlers, monitors and programs, by their user agent",
    "cron": "sessions whose pauses are all of one length",
    "dominant": "sessions with a large part of the requests, the pages or the pauses at risk",
    "shared": "addresses behind which many users are",
}
"""The kinds of population that `populations` finds."""


@dataclass(frozen=True, slots=True)
class LogSelection:
    """What is left out, and what alone is kept.

    Attributes:
        exclude: Conditions; a request that meets one of them is left out.
        only: Conditions; of those on one field, a request must meet one, for every field that is
            named. Of kinds it must belong to one.

    A condition is ``FIELD=PATTERN``, with `FIELDS` and a pattern of which ``*`` stands for any text
    and ``?`` for any character, or one of `KINDS`. The case of user agents does not matter.

    Raises:
        ConfigurationError: Names every condition that is none of them.

    """

    exclude: Sequence[str] = ()
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        faults = [
            f"{option} {condition}: expected one of {', '.join(KINDS)}, or"
            f" {'=, '.join(FIELDS)}= with a pattern"
            for option, conditions in (("--exclude", self.exclude), ("--only", self.only))
            for condition in conditions
            if condition not in KINDS and not _is_pattern(condition)
        ]
        if faults:
            raise ConfigurationError(faults)

    def is_left_out(self) -> str:
        """Return the condition by fields as SQL over columns of the names in `FIELDS`."""
        left_out = [_matches(one) for one in self.exclude if one not in KINDS]
        fields = dict.fromkeys(one.partition("=")[0] for one in self.only if one not in KINDS)
        for field in fields:
            any_of = [_matches(one) for one in self.only if one.startswith(f"{field}=")]
            left_out.append(f"NOT ({' OR '.join(any_of)})")
        return " OR ".join(left_out) or "false"

    @property
    def kinds_out(self) -> Iterator[str]:
        """The kinds that are left out."""
        return (one for one in self.exclude if one in KINDS)

    @property
    def kinds_kept(self) -> Sequence[str]:
        """The kinds of which alone sessions are kept; empty for all."""
        return [one for one in self.only if one in KINDS]

    def check_kinds(self, is_address: bool) -> None:
        """Check that the kinds fit what tells persons apart.

        Raises:
            ConfigurationError: ``shared`` is named, and persons are no addresses.

        """
        if not is_address and "shared" in (*self.kinds_out, *self.kinds_kept):
            raise ConfigurationError(["shared is for --log-session address only"])


def _is_pattern(condition: str) -> bool:
    field, equals, pattern = condition.partition("=")
    return field in FIELDS and bool(equals) and bool(pattern)


def _matches(condition: str) -> str:
    field, _, pattern = condition.partition("=")
    # In a GLOB of SQL a bracket opens a set of characters; here it is a bracket.
    pattern = pattern.replace("\\", "\\\\").replace("[", "\\[")
    column = f"CAST({field} AS VARCHAR)"
    if field == "agent":
        column, pattern = f"lower({column})", pattern.lower()
    return f"coalesce({column} GLOB {literal(pattern)}, false)"
