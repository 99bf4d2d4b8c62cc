"""How the workers of a deployment share one fetch: through a folder or through a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from linqi.jwks.freshness import RefreshSettings
from linqi.jwks.http import RemoteLimits
from linqi.jwks.location import KeySetLocation
from linqi.jwks.shared_file import SharedFile
from linqi.jwks.snapshot import Snapshot
from linqi.jwks.store_share import StoreShare

__all__ = ["Share", "SharedSnapshot", "shared_snapshot"]

Share: TypeAlias = str | Path | StoreShare
"""A private folder of one machine, or a store of several."""

_WAIT_FACTOR: Final = 2.5
"""How many timeouts to wait for the turn: one for a process whose request hangs, and a margin."""


class SharedSnapshot(Protocol):
    """The snapshot of one issuer, which several processes read and one at a time replaces."""

    fault: str
    """Why sharing failed the last time; each process then sends its own requests."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Let one process at a time send requests; the others then find its snapshot."""
        ...

    async def read(self) -> Snapshot | None:
        """Return the shared snapshot; None if there is none that can be used."""
        ...

    async def write(self, snapshot: Snapshot) -> None:
        """Replace the shared snapshot; a failure is noted in ``fault``."""
        ...


def shared_snapshot(
    share: Share | None,
    location: KeySetLocation,
    algorithms: Sequence[str],
    settings: RefreshSettings,
    limits: RemoteLimits,
    clock: Callable[[], float],
) -> SharedSnapshot | None:
    """Return the snapshot of a key set that is shared by `share`; None if that is None.

    Two sets of one issuer, such as for different algorithms, share nothing: the keys of one would
    verify the tokens of the other (V6), and its failures would delay the requests of the other.
    """
    if share is None:
        return None
    source = " ".join((location.configured_url, *sorted(algorithms)))
    wait = limits.timeout * _WAIT_FACTOR
    if isinstance(share, StoreShare):
        return share.of(
            location.issuer,
            source,
            wait_seconds=wait,
            lease_seconds=limits.timeout * 2,
            kept_seconds=settings.most_lifetime + settings.stale,
            most_bytes=limits.max_bytes,
            clock=clock,
        )
    return SharedFile(share, location.issuer, source, wait_seconds=wait)
