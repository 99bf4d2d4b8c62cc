"""A count of the users of a shared service: the last one to close it ends it."""

from __future__ import annotations

import asyncio

__all__ = ["ReferenceCount"]


class ReferenceCount:
    """Counts starts against closes on one event loop at a time.

    A key source may serve several issuers, verifiers and middlewares: the first start begins its
    work, and only the last close ends it. A start on another event loop resets the count, since the
    earlier loop has ended or was abandoned.
    """

    def __init__(self) -> None:
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def acquire(self) -> None:
        """Count a start on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._count = loop, 0
        self._count += 1

    def release(self) -> bool:
        """Count a close, and return whether no start is left on the running event loop."""
        if self._loop is not asyncio.get_running_loop():
            return True
        self._count = max(0, self._count - 1)
        return self._count == 0
