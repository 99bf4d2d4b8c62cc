"""The one thread that writes to a SQLite file; waiting jobs share a transaction."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from linqi.errors import NotStarted
from linqi.stores._fork_safe import ForkSafeConnection

__all__ = ["Writer"]


class Writer:
    """Runs jobs in a thread with one connection.

    After a ``fork`` the child starts a thread of its own with its first job; the jobs that the
    parent had accepted stay with the parent.

    Args:
        open_file: Opens the connection, again after each error.
        most_at_once: How many jobs may share a transaction.

    """

    def __init__(self, open_file: Callable[[], sqlite3.Connection], most_at_once: int) -> None:
        self._held = ForkSafeConnection(open_file, in_child=self._reset_in_child)
        self._most_at_once = most_at_once
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.is_running = False
        """Whether jobs are accepted."""

    def start(self) -> None:
        """Start the thread."""
        self.is_running = True
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._work, args=(self._jobs,), name="linqi-sqlite", daemon=True
                )
                thread.start()
                self._thread = thread

    async def close(self) -> None:
        """Finish the waiting jobs, then end the thread."""
        thread, self._thread = self._thread, None
        self.is_running = False
        # A thread that starts meanwhile takes jobs of its own, and not the end of this one.
        jobs, self._jobs = self._jobs, queue.SimpleQueue()
        if thread is not None:
            jobs.put(None)
            await asyncio.to_thread(thread.join)

    def ask(self, work: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        """Return a future of the result of `work`, set after the commit of its transaction.

        Raises:
            NotStarted: The writer was closed.

        """
        if not self.is_running:
            raise NotStarted("the SQLite store")
        if self._thread is None:
            self.start()  # the first job after a fork
        job = Job(work, asyncio.get_running_loop())
        self._jobs.put(job)
        return job.future

    def _reset_in_child(self) -> None:
        self._jobs = queue.SimpleQueue()
        self._thread = None
        self._starting = threading.Lock()

    def _work(self, waiting: queue.SimpleQueue[Job | None]) -> None:
        """Run the jobs that are `waiting` until one is None."""
        is_open = True
        while is_open:
            jobs = self._taken(waiting)
            is_open = None not in jobs
            wanted = [job for job in jobs if job is not None and job.is_wanted()]
            try:
                if wanted:
                    self._held.use(partial(_transact, jobs=wanted))
            except Exception as error:  # noqa: BLE001 - the waiting callers must get it
                for job in wanted:
                    job.error = error
            _land(wanted)
        self._held.close()

    def _taken(self, waiting: queue.SimpleQueue[Job | None]) -> list[Job | None]:
        jobs = [waiting.get()]
        while len(jobs) < self._most_at_once and jobs[-1] is not None:
            try:
                jobs.append(waiting.get_nowait())
            except queue.Empty:
                break
        return jobs


class Job:
    """Work for the thread, and the future of the caller that waits for it."""

    __slots__ = ("answer", "error", "future", "loop", "work")

    def __init__(
        self, work: Callable[[sqlite3.Connection], Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.answer: Any = None
        self.error: Exception | None = None

    def is_wanted(self) -> bool:
        """Return whether a caller still waits; a request that was cancelled before is not run."""
        return not self.future.cancelled()

    def do(self, connection: sqlite3.Connection) -> None:
        """Run the work inside the open transaction."""
        self.answer = self.work(connection)

    def land(self) -> None:
        """Set the result or error of the future, on its event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.error)


def _land(jobs: Sequence[Job]) -> None:
    """Wake every event loop once for all its jobs: a wake-up costs as much as a small job."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, landed in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: no caller waits there
            loop.call_soon_threadsafe(_land_here, landed)


def _land_here(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.land()


def _transact(connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
    """Run all `jobs` in one transaction: all of them are on the disk, or none is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            job.do(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
