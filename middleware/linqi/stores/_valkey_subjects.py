"""The sessions of one subject in Valkey or Redis: their index, their limit, their revocation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from linqi.jose.session_ids import subject_tag
from linqi.sessions.record import SessionRecord
from linqi.stores._redis import Call, Script, is_half_moved
from linqi.stores._valkey_nodes import Nodes
from linqi.stores._valkey_rows import session_of, session_row

__all__ = ["SubjectSessions"]

_AT_ONCE: Final = 100
"""Sessions of one script: 1.3 ms of the server."""
_NAMES_AT_ONCE: Final = 500
_MOST_REPEATED: Final = 100
_MOST_ENDED: Final = 1_000
_KEPT_ENDED_SECONDS: Final = 7 * 86_400.0
"""How long an ended session can be listed, if its row is kept so long."""


class SubjectSessions:
    """The sessions of each subject, in one hash slot, and their index (see ``create.lua``).

    A session is in the index from its sign-in until its revocation was published, or it expired and
    was missed. No script touches more sessions than `_AT_ONCE`, and each has all keys that it
    touches as its keys: if they lie on two nodes, because their slot is half moved, each session is
    called by itself, for which the cluster knows the node. What is found by then is all there is: a
    session that neither node has is over.

    Args:
        prefix: The beginning of all keys.
        nodes: Sends the commands.
        repeats: Whether `create` also returns sessions that gave way to one before, and whose
            revocation was not published: replicas may have missed it.

    """

    def __init__(self, prefix: str, nodes: Nodes, *, repeats: bool) -> None:
        self._prefix = prefix
        self._nodes = nodes
        self._repeated = _MOST_REPEATED if repeats else 0
        self._create, self._revoke, self._index_part, self._forget = (
            Script(name) for name in ("create", "revoke", "index", "forget")
        )

    def key(self, session_id: str) -> str:
        """Return the key of a session's row."""
        # The braces choose the hash slot: all sessions of one subject lie in one.
        return f"{self._index(session_id)}:{session_id}"

    async def create(self, record: SessionRecord, most: int, kept: float) -> list[str]:
        """Store a new session; see `SessionStore.create`.

        Args:
            record: The session.
            most: How many sessions of its subject may be live.
            kept: For how many seconds a revoked session stays in the index without being published;
                0 for ever.

        """
        key, index = self.key(record.session_id), self._index(record.session_id)
        until = f"{record.expires_at * 1000:.0f}"
        row = Call(key, ("SET", key, session_row(record), "NX", "PXAT", until))
        # Before its name: a name without a row is that of a session that is over.
        await self._nodes.run([row])
        arguments = [record.session_id, most, repr(record.ends_at), repr(kept), self._repeated]
        call = self._create.call([index], arguments)
        over: list[str] = []
        while True:
            ((is_in, *unpublished),) = await self._nodes.run([call])
            if is_in:
                break
            over += await self._make_room(index, most, record.rotated_at)
        if unpublished:
            names = [name.decode() for name in unpublished]
            rows = zip(names, await self._rows(names), strict=True)
            over += [name for name, row in rows if row is not None and _gave_way(row)]
        return [*dict.fromkeys(over)]

    async def known(self, subject: str, *, ended: bool) -> list[SessionRecord]:
        """Return the sessions of `subject` that did not end, or all that can still be found."""
        index = self._index(subject_tag(subject))
        names = dict.fromkeys(await self._names(index, "0", "+inf"))
        if ended:
            names |= dict.fromkeys(await self._names(index, "-inf", "(0"))
            part = self._index_part.call([_ended(index)], ["-inf", "+inf", _MOST_ENDED])
            found = (await self._nodes.run([part]))[0]
            names |= dict.fromkeys(name.decode() for name in found[::2])
        rows = [session_of(row) for row in await self._rows([*names]) if row is not None]
        return [row for row in rows if row.subject == subject]

    async def live(self, subject: str, now: float) -> list[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        index = self._index(subject_tag(subject))
        names = await self._names(index, "0", "+inf")
        rows = [session_of(row) for row in await self._rows(names) if row is not None]
        return [row for row in rows if row.subject == subject and row.is_live(now)]

    async def revoke(
        self,
        session_ids: Sequence[str],
        now: float,
        cause: str,
        *,
        confirm_until: float | None = None,
    ) -> list[str]:
        """Revoke sessions, of any subjects, and return those that exist.

        Args:
            session_ids: Those revoked before are written again.
            now: Unix seconds.
            cause: Of those that are not revoked yet.
            confirm_until: As of `Nodes.run`.

        """
        found = []
        for piece in self._by_subject(session_ids):
            is_found = await self._revoke_piece(piece, [repr(now), cause], confirm_until)
            found += [name for name, flag in zip(piece, is_found, strict=True) if flag]
        return found

    def revocation_calls(self, session_ids: Sequence[str], now: float, cause: str) -> list[Call]:
        """Return the calls of `revoke`, which do not work where a slot is half moved."""
        arguments = [repr(now), cause]
        return [self._revoke_call(piece, arguments) for piece in self._by_subject(session_ids)]

    async def revoke_all(self, subject: str, now: float, cause: str, kept: str) -> list[str]:
        """Revoke the sessions of `subject` except `kept`; see `SessionStore.revoke_all`."""
        index = self._index(subject_tag(subject))
        names = dict.fromkeys(await self._names(index, "0", "+inf"))
        # After the others, or one that is revoked in between would be missed.
        names |= dict.fromkeys(await self._names(index, "-inf", "(0"))
        names.pop(kept, None)
        return await self.revoke([*names], now, cause)

    async def forget(self, session_ids: Sequence[str], at: float) -> None:
        """Take revoked sessions, whose revocation was published, out of their indexes.

        For a list of ended sessions their names stay in another one, the newest first.

        Args:
            session_ids: The sessions.
            at: When they were revoked, in Unix seconds.

        """
        pieces = [*self._by_subject(session_ids)]
        try:
            await self._nodes.run([self._forget_call(piece, at) for piece in pieces])
        except Exception as error:
            if not is_half_moved(error):
                raise
            await self._nodes.run([self._zrem(piece) for piece in pieces])

    def _forget_call(self, names: Sequence[str], at: float) -> Call:
        if "}" in names[0]:  # an id of another form, which no session has
            return self._zrem(names)
        index = self._index(names[0])
        return self._forget.call([index, _ended(index)], [repr(at), _KEPT_ENDED_SECONDS, *names])

    def _zrem(self, names: Sequence[str]) -> Call:
        index = self._index(names[0])
        return Call(index, ("ZREM", index, *names))

    async def _make_room(self, index: str, most: int, now: float) -> list[str]:
        """Take what is over out of an index, revoke its oldest sessions, and return those."""
        names = await self._names(index, "0", "+inf")
        live, calls = [], []
        for name, row in zip(names, await self._rows(names), strict=True):
            if row is None:
                calls.append(Call(index, ("ZREM", index, name)))
            elif (revoked_at := row.split(b" ", 6)[5]) != b"0.0":
                calls.append(Call(index, ("ZADD", index, "XX", b"-" + revoked_at, name)))
            else:
                live.append(name)
        for piece in _pieces(calls, _NAMES_AT_ONCE):
            await self._nodes.run(piece)
        return await self.revoke(live[: max(0, len(live) - most + 1)], now, "limit")

    async def _revoke_piece(
        self, names: Sequence[str], arguments: Sequence[str], confirm_until: float | None
    ) -> list[int]:
        """Revoke sessions of one subject, and return 1 for each that exists, otherwise 0."""
        call = self._revoke_call(names, arguments)
        try:
            found: list[int] = (await self._nodes.run([call], confirm_until=confirm_until))[0]
        except Exception as error:
            if not is_half_moved(error):
                raise
        else:
            return found
        index = self._index(names[0])
        calls = [self._revoke.call([self.key(name)], [1, *arguments]) for name in names]
        found = [one for (one,) in await self._nodes.run(calls, confirm_until=confirm_until)]
        marks = [
            ("ZADD", index, "XX", f"-{arguments[0]}", name) if one else ("ZREM", index, name)
            for name, one in zip(names, found, strict=True)
        ]
        await self._nodes.run([Call(index, mark) for mark in marks])
        return found

    def _revoke_call(self, names: Sequence[str], arguments: Sequence[str]) -> Call:
        keys = [self.key(name) for name in names]
        # An id of another form may begin with what spoils the slot; no index has it.
        if "}" not in names[0]:
            keys.append(self._index(names[0]))
        return self._revoke.call(keys, [len(names), *arguments])

    async def _rows(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the rows of sessions of one subject, None for what is over."""
        rows: list[bytes | None] = []
        for piece in _pieces(names, _AT_ONCE):
            keys = [self.key(name) for name in piece]
            try:
                rows += (await self._nodes.run([Call(keys[0], ("MGET", *keys))]))[0]
            except Exception as error:
                if not is_half_moved(error):
                    raise
                rows += await self._nodes.run([Call(key, ("GET", key)) for key in keys])
        return rows

    async def _names(self, index: str, lowest: str | bytes, highest: str) -> list[str]:
        """Return the ids with scores from `lowest` to `highest`, in their order."""
        names: dict[bytes, None] = {}
        most = _NAMES_AT_ONCE
        while True:
            call = self._index_part.call([index], [lowest, highest, most])
            found: list[Any] = (await self._nodes.run([call]))[0]
            names |= dict.fromkeys(found[::2])
            if len(found) < 2 * most:
                return [name.decode() for name in names]
            if found[1] == found[-1]:  # more than these may have this one score
                most *= 2
            lowest = found[-1]

    def _by_subject(self, session_ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """Return pieces of `session_ids`, each of one subject."""
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for name in session_ids:
            groups[self._index(name)].append(name)
        for names in groups.values():
            yield from _pieces(names, _AT_ONCE)

    def _index(self, session_id: str) -> str:
        return f"{self._prefix}:{{{session_id[:8]}}}"


def _ended(index: str) -> str:
    """Return the key of the ended sessions of a subject, beside its index."""
    return f"{index}:ended"


def _gave_way(row: bytes) -> bool:
    return row.split(b" ", 7)[6] == b"limit"


def _pieces(whole: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(whole), size):
        yield whole[begin : begin + size]
