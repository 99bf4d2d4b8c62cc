"""What a `FakeIssuer` answers, in this process or over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["AnsweringIssuer", "IssuerAnswer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerAnswer:
    """An HTTP response of the issuer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnsweringIssuer(Protocol):
    """Answers the requests of its clients."""

    @property
    def seconds(self) -> float:
        """How long each response takes."""
        ...

    def answer(self, url: str, headers: Mapping[str, str]) -> IssuerAnswer:
        """Return the response to a GET of `url`.

        Raises:
            ConnectionRefusedError: The issuer is down.

        """
        ...
