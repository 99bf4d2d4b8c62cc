"""The faults of a configuration, each with its place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose._guarded_file import WritableByOthers

__all__ = ["Fault", "Faults", "InvalidConfig", "SourceNotFound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that must be fixed before anything runs."""

    code: str
    """Stable: ``unknown-key``, ``unknown-table``, ``wrong-value``, ``contradiction``, ``missing``,
    ``unreadable``, ``file-writable``, ``not-toml``, ``weak-key`` or ``buffer-over-half``."""
    source: str
    """The path of the file, or the name of the environment variable."""
    table: str = ""
    key: str = ""
    seen: str = ""
    """The value, as far as it may be shown; empty if there is none."""
    expected: str
    """What is expected, with the unit, or how to fix the fault."""

    def __str__(self) -> str:
        table = f" [{self.table}]" if self.table else ""
        key = f" {self.key}" if self.key else ""
        seen = f" = {self.seen}" if self.seen else ""
        return f"{self.source}{table}{key}{seen}: {self.expected}"


class InvalidConfig(ConfigurationError):
    """Raised for an invalid configuration; ``details`` has every fault with its place."""

    def __init__(self, details: Sequence[Fault]) -> None:
        self.details = tuple(details)
        super().__init__(str(fault) for fault in self.details)


class SourceNotFound(ConfigurationError):
    """A file or an environment variable that the configuration names does not exist."""


class Faults:
    """Collects the faults of one `source`, so that all are reported together."""

    def __init__(self, source: str) -> None:
        self.found: list[Fault] = []
        self._source = source

    def add(
        self,
        code: str,
        table: str,
        key: str,
        expected: str,
        *,
        seen: str = "",
        source: str = "",
    ) -> None:
        """Add a fault; `source` only if it is not the collector's own."""
        self.found.append(
            Fault(
                code=code,
                source=source or self._source,
                table=table,
                key=key,
                seen=seen,
                expected=expected,
            )
        )

    def missing(self, table: str, key: str, expected: str) -> None:
        """Add a fault for a key that is required and absent."""
        self.add("missing", table, key, expected)

    @contextlib.contextmanager
    def at(self, table: str, key: str = "", seen: str = "") -> Iterator[None]:
        """Turn the errors raised inside the block into faults of one key."""
        try:
            yield
        except WritableByOthers as error:
            for text in error.faults:
                self.add("file-writable", table, key, text, seen=seen)
        except SourceNotFound as error:
            for text in error.faults:
                self.add("missing", table, key, text, seen=seen)
        except ConfigurationError as error:
            for text in error.faults:
                self.add("contradiction", table, key, text, seen=seen)
        except OSError as error:
            text = f"{error.filename or 'the file'}: {error.strerror or error}"
            self.add("unreadable", table, key, text, seen=seen)
        except InvalidKey as error:
            self.add("weak-key", table, key, str(error), seen=seen)

    def raise_any(self) -> None:
        """Raise `InvalidConfig` if there are any."""
        if self.found:
            raise InvalidConfig(self.found)
