"""Who has started something that several share: the last to close it ends it."""

from __future__ import annotations

import asyncio

__all__ = ["ReferenceCount"]


class ReferenceCount:
    """Counts starts against closes on one event loop at a time.

    A source of keys may serve several issuers, verifiers and middlewares: the first start begins
    its work, and only the close of the last ends it. What was held on another loop counts no more:
    that loop is gone, or left its holders behind.
    """

    def __init__(self) -> None:
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def acquire(self) -> None:
        """Count one more that has started on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._count = loop, 0
        self._count += 1

    def release(self) -> bool:
        """Count one less, and return whether none is left on the running event loop."""
        if self._loop is not asyncio.get_running_loop():
            return True
        self._count = max(0, self._count - 1)
        return self._count == 0
