"""The tokens a client holds, and where it keeps the refresh token between runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pybase64

from linqi.errors import MalformedToken
from linqi.jose._whole_file import PRIVATE, write_whole

__all__ = ["FileStorage", "MemoryStorage", "TokenStorage", "Tokens", "read_times", "tokens_of"]

_MOST_BYTES = 65_536


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer of ``/login`` or ``/refresh`` gave."""

    access_token: str
    refresh_token: str = ""
    """Empty where a cookie carries it, or where the server slides sessions."""
    sequence: int = -1
    """Rises with every rotation; -1 where the server does not count."""
    refresh_in: float | None = None

    def __repr__(self) -> str:
        return f"<Tokens sequence={self.sequence}>"


class _Times(msgspec.Struct):
    exp: float
    iat: float | None = None


def read_times(token: str) -> tuple[float | None, float]:
    """Give ``iat`` and ``exp`` of an access token as a client reads them: without any trust.

    `MalformedToken` when it is no JWT with an ``exp``.
    """
    try:
        payload = token.split(".")[1]
        data = pybase64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        times = msgspec.json.decode(data, type=_Times)
    except (IndexError, ValueError, msgspec.MsgspecError):
        raise MalformedToken("the access token is no JWT with an exp") from None
    return times.iat, times.exp


class TokenStorage(Protocol):
    """Keeps tokens between two runs of a program; called from any thread."""

    def load(self) -> Tokens | None:
        """Give what was saved last; None when there is nothing, or nothing that can be read."""
        ...

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`; None forgets them."""
        ...


@dataclass(slots=True)
class MemoryStorage:
    """Forgets with the process."""

    tokens: Tokens | None = field(default=None, repr=False)

    def load(self) -> Tokens | None:
        """Give what was saved."""
        return self.tokens

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`."""
        self.tokens = tokens


class FileStorage:
    """Keeps tokens in a file of mode 0600, written whole."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> Tokens | None:
        """Give what was saved; OSError only where the file is there and cannot be read."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_BYTES), type=Tokens)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeError):
            return None

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`, or remove the file."""
        if tokens is None:
            self._path.unlink(missing_ok=True)
        else:
            write_whole(self._path, msgspec.json.encode(tokens), PRIVATE)


def tokens_of(answer: Any, before: Tokens | None) -> Tokens:
    """Read the JSON of a token response (RFC 6749, section 5.1); `MalformedToken` otherwise.

    A server that does not rotate leaves the refresh token out: the old one then stays (section 6).
    """
    try:
        tokens = msgspec.convert(answer, Tokens)
    except msgspec.ValidationError:
        raise MalformedToken("the answer is no token response (RFC 6749, section 5.1)") from None
    if not tokens.refresh_token and before is not None:
        return msgspec.structs.replace(tokens, refresh_token=before.refresh_token)
    return tokens
