"""The rotation of refresh tokens in PostgreSQL, judged by the server's clock."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any, Final, TypeAlias

from linqi.errors import ConfigurationError, Unavailable
from linqi.sessions.record import RotationOutcome
from linqi.sessions.refresh import SessionSettings
from linqi.stores._asyncpg import as_unavailable
from linqi.stores._batches import Batches
from linqi.stores._store_clock import StoreClock
from linqi.stores._table_rows import session_of

__all__ = ["PostgresRotations"]

_Presented: TypeAlias = tuple[str, int, float, float]
"""Session id, counter, deadline and idle seconds of a refresh token that is presented."""

_MOST_ROTATIONS, _ROUND_TRIPS = 64, 2
"""Rotations that share a statement, and such statements under way."""
_NO_SESSION: Final = "no-session"
"""The id of no session: they have 30 characters."""


class PostgresRotations:
    """Redeems refresh tokens: those that wait at the same time share a statement.

    Args:
        fetch: Returns the rows of a statement with its arguments, `within` so many seconds.
        timeout: Seconds for each token, waiting included.

    """

    def __init__(self, fetch: Callable[..., Awaitable[list[Any]]], *, timeout: float) -> None:
        self.clock = StoreClock("the PostgreSQL store")
        """The server's clock."""
        self._fetch = fetch
        self._timeout = timeout
        self._sql = files("linqi.stores").joinpath("rotate.sql").read_text("utf-8")
        self._batches: Batches[_Presented, Any] = Batches(
            self._rotate,
            timeout=timeout,
            most_at_once=_MOST_ROTATIONS,
            most_under_way=_ROUND_TRIPS,
        )

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        sent, deadline = self.clock.sent(), self.clock.now() + self._timeout
        try:
            after = await self._batches((session_id, counter, deadline, float(settings.idle)))
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error
        if after is None:
            return await self._decided(session_id, counter, deadline, settings, sent)
        record = session_of(after)
        self.clock.learn(record.rotated_at, sent)
        return RotationOutcome("rotated", record, record.rotated_at)

    async def read_clock(self) -> None:
        """Ask for the server's clock: at the start, and where no token is presented for long."""
        try:
            await self._decided(_NO_SESSION, 0, math.inf, SessionSettings(), self.clock.sent())
        except Unavailable as error:
            if type(error.__cause__).__name__ != "UndefinedFunctionError":
                raise
            raise ConfigurationError(
                ["the database lacks the function linqi_redeem; run linqi store init"]
            ) from None

    async def finish(self) -> None:
        """Wait until no token waits any more."""
        await self._batches.finish()

    async def _rotate(self, presented: Sequence[_Presented]) -> list[Any]:
        """Rotate the sessions whose current token was presented.

        Returns:
            Their rows; None for any other case, for a session that is locked, and for one that is
            presented twice: `present` then asks ``linqi_redeem``.

        """
        once = {session_id: values for session_id, *values in reversed(presented)}
        columns = [[*once], *map(list, zip(*once.values(), strict=True))]
        rows = {row[0]: row for row in await self._fetch(self._sql, *columns)}
        return [rows.pop(session_id, None) for session_id, *_ in presented]

    async def _decided(
        self,
        session_id: str,
        counter: int,
        deadline: float,
        settings: SessionSettings,
        sent: float,
    ) -> RotationOutcome:
        """Decide any case, in what is left of the time since `sent`."""
        (row,) = await self._fetch(
            "SELECT kind, at, forgotten, (after).* FROM linqi_redeem($1, $2, $3, $4, $5, $6, $7)",
            session_id,
            counter,
            deadline,
            float(settings.grace),
            float(settings.recover_seconds),
            float(settings.idle),
            settings.most_forgotten,
            within=sent + self._timeout - self.clock.sent(),
        )
        kind, at, forgotten, *after = row
        self.clock.learn(at, sent)
        record = None if kind in ("unknown", "late") else session_of(after)
        return RotationOutcome(kind, record, at, forgotten)
