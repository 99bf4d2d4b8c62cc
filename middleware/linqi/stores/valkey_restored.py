"""The sessions of a Valkey server or cluster that was restored from a backup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from linqi.sessions.restored import EndedPart, ended_part
from linqi.stores._redis import Call, is_one_server
from linqi.stores._valkey_nodes import Nodes
from linqi.stores._valkey_rows import session_of
from linqi.stores._valkey_subjects import SubjectSessions

__all__ = ["ValkeyRestored", "most_forgotten_key"]

_AT_ONCE: Final = 500


class ValkeyRestored:
    """`RestoredSessions` of a `ValkeyStore`.

    Args:
        prefix: The beginning of all keys.
        client: Returns the started client.
        nodes: Sends the commands.
        subjects: Revokes sessions.
        in_time: Limits the time of each step; its value is that of ``confirm_until``.

    """

    def __init__(
        self,
        prefix: str,
        client: Callable[[], Any],
        nodes: Nodes,
        subjects: SubjectSessions,
        *,
        in_time: Callable[[], AbstractAsyncContextManager[float]],
    ) -> None:
        self._prefix = prefix
        self._client = client
        self._nodes = nodes
        self._subjects = subjects
        self._in_time = in_time

    async def end(self, before: float, now: float) -> AsyncIterator[EndedPart]:
        """Revoke sessions part by part; see `RestoredSessions`."""
        client, pattern = self._client(), f"{self._prefix}:{{????????}}:*"
        places = (
            [{}]
            if is_one_server(client)
            else [{"target_nodes": node} for node in client.get_primaries()]
        )
        for place in places:
            cursor: Any = 0
            while True:
                async with self._in_time() as confirm_until:
                    found = await client.scan(cursor, match=pattern, count=_AT_ONCE, **place)
                    keys = [key for key in map(bytes.decode, found[1]) if self._is_session(key)]
                    part = await self._end_part(keys, before, now, confirm_until)
                yield part
                # A cluster says the cursor of each node that was asked.
                (cursor,) = found[0].values() if place else (found[0],)
                if not cursor:
                    break

    def _is_session(self, key: str) -> bool:
        """Return whether `key` is that of a session; ``{attempts}`` has eight letters as well."""
        subject, _, name = key.removeprefix(f"{self._prefix}:{{").partition("}:")
        return name.startswith(subject)

    async def allow_forgotten(self, rotations: int, seconds: float) -> None:
        """Store the number as long as it holds; see `RestoredSessions`."""
        key = most_forgotten_key(self._prefix)
        milliseconds = max(1, int(seconds * 1000))
        call = Call(key, ("SET", key, rotations, "PX", milliseconds))
        async with self._in_time() as confirm_until:
            await self._nodes.run([call], confirm_until=confirm_until)

    async def _end_part(
        self, keys: Sequence[str], before: float, now: float, confirm_until: float
    ) -> EndedPart:
        found = await self._nodes.run([Call(key, ("GET", key)) for key in keys])
        rows = [session_of(row) for row in found if row is not None]
        living = [row for row in rows if not row.revoked_at]
        names = [row.session_id for row in living if row.started_at < before]
        if names:
            await self._subjects.revoke(names, now, "lost", confirm_until=confirm_until)
        return ended_part([row.started_at for row in living], before)


def most_forgotten_key(prefix: str) -> str:
    """Return the key of the number that `ValkeyRestored.allow_forgotten` stores."""
    return f"{prefix}:most-forgotten"
