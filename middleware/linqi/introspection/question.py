"""How one issuer is asked about a token, by a function where there is no RFC 7662."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from linqi.errors import FetchFailed
from linqi.introspection.answer import ActiveToken, read_mapping

__all__ = ["Ask", "AskFunction", "Question"]

Ask: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""Receives a token; returns its claims, or None if it is not active.

What it raises means that the issuer could not be asked: `FetchFailed` says why, for the log, and
after how many seconds to ask again. Of any other exception only the type is logged, since its text
may hold the token.
"""


class Question(Protocol):
    """Asks one issuer about tokens."""

    async def ask(self, token: bytes, now: float, bound: float) -> ActiveToken | None:
        """Return what the issuer says about `token`; None if it is not active."""
        ...

    def forget(self) -> None:
        """Drop what belongs to another event loop."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...


class AskFunction:
    """Asks by a function of the application.

    Args:
        issuer: The issuer of the tokens.
        ask: The function.
        seconds: How long it may take.

    """

    def __init__(self, issuer: str, ask: Ask, seconds: float) -> None:
        self._issuer = issuer
        self._ask = ask
        self._seconds = seconds

    async def ask(self, token: bytes, now: float, bound: float) -> ActiveToken | None:
        """Return what the function says about `token`; None if it is not active.

        Raises:
            FetchFailed: It took too long.
            RefusedAnswer: It returned something else than claims or None.

        """
        try:
            async with asyncio.timeout(self._seconds):
                given = await self._ask(token.decode("ascii"))
        except TimeoutError:
            raise FetchFailed(f"ask did not return within {self._seconds:g} s") from None
        return read_mapping(given, self._issuer, now, bound)

    def forget(self) -> None:
        """Do nothing: the function keeps what it opened."""

    async def aclose(self) -> None:
        """Do nothing: the function keeps what it opened."""
