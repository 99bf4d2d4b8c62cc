"""The door to DuckDB: SQL over log files, in bounded memory and a private folder."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from linqi.errors import ConfigurationError, LinqiError

__all__ = ["LogEngine", "UnreadableLog", "identifier", "literal"]

_MEMORY: Final = "1GB"
_BATCH: Final = 10_000
_TELL_EVERY_SECONDS: Final = 0.2
_LONGEST_MESSAGE: Final = 200


class UnreadableLog(LinqiError):
    """A log that cannot be read, holds no request of the format, or names no session."""

    code = "unreadable_log"


def literal(text: str) -> str:
    """Return `text` as a string of SQL: whatever it holds, it stays text."""
    if "\0" in text:
        raise ConfigurationError([f"{text!r} has a NUL character"])
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return `name` as the name of a column in SQL."""
    if "\0" in name:
        raise ConfigurationError([f"{name!r} has a NUL character"])
    return '"' + name.replace('"', '""') + '"'


class LogEngine:
    """A database of one run; use it as a context manager.

    Its tables lie in a folder under the system's temporary folder that only the user of the process
    can read, and that is removed at the end. DuckDB holds at most 1 GB of them in memory.

    Raises:
        ConfigurationError: DuckDB is not installed.
        UnreadableLog: From every method: a file is missing, torn, or of another kind.

    """

    def __init__(self, memory: str = _MEMORY) -> None:
        try:
            import duckdb
        except ModuleNotFoundError:
            raise ConfigurationError(
                ["--log needs DuckDB, which is not installed; pip install 'linqi[tune]'"]
            ) from None
        self._fault = duckdb.Error
        self._folder = tempfile.TemporaryDirectory(prefix="linqi-tune-")
        folder = Path(self._folder.name)
        self._database = duckdb.connect(
            folder / "log.duckdb",
            config={
                "memory_limit": memory,
                "temp_directory": str(folder / "spill"),
                # The engine asks no network for extensions.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        # Without a zone a time is UTC, wherever the tuner runs.
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute("SET enable_progress_bar = false")

    def __enter__(self) -> LogEngine:
        """Return the engine."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database, and remove its folder."""
        self._database.close()
        self._folder.cleanup()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        try:
            return self._database.execute(sql, list(parameters)).fetchall()
        except self._fault as error:
            raise self._unreadable(error) from None

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Return the only row of a query."""
        (row,) = self.rows(sql, parameters)
        return row

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in lists of bounded length."""
        try:
            cursor = self._database.cursor()
            cursor.execute(sql, list(parameters))
            while batch := cursor.fetchmany(_BATCH):
                yield batch
        except self._fault as error:
            raise self._unreadable(error) from None

    def run(
        self, sql: str, parameters: Sequence[Any] = (), progress: Callable[[float], object] = bool
    ) -> None:
        """Run a statement; `progress` is called with the share that is done, from 0 to 1."""
        failed: list[Exception] = []
        ended = threading.Event()  # a join that Ctrl-C breaks takes the thread for ended

        def work() -> None:
            try:
                self._database.execute(sql, list(parameters))
            except self._fault as error:
                failed.append(error)
            finally:
                ended.set()

        worker = threading.Thread(target=work, name="linqi-log-engine", daemon=True)
        worker.start()
        try:
            while not ended.wait(_TELL_EVERY_SECONDS):
                progress(max(0.0, self._database.query_progress()) / 100)
        except BaseException:
            self._database.interrupt()
            ended.wait()
            raise
        worker.join()
        if failed:
            raise self._unreadable(failed[0]) from None

    def rejected(self) -> int:
        """Return how many lines of the last file that was read were no text, at most 1,000."""
        if not self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'"):
            return 0
        sql = (
            "SELECT count(DISTINCT (file_id, line)) FROM reject_errors"
            " WHERE scan_id = (SELECT max(scan_id) FROM reject_scans)"
        )
        return int(self.row(sql)[0])

    def _unreadable(self, error: Exception) -> UnreadableLog:
        """Return the fault without the lines of the log that DuckDB quotes in it."""
        text = str(error).partition("\n")[0]
        for quote in ("Original Line", "Input:"):
            text = text.partition(quote)[0]
        return UnreadableLog(text.strip()[:_LONGEST_MESSAGE])
