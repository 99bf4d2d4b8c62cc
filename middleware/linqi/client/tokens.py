"""The tokens a client holds, and where it keeps the refresh token between runs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import pybase64

from linqi.errors import MalformedToken
from linqi.jose._atomic_write import PRIVATE, write_atomically

__all__ = [
    "AccessClaims",
    "FileStorage",
    "MemoryStorage",
    "TokenStorage",
    "Tokens",
    "decode_json",
    "decode_tokens",
    "encode_tokens",
    "read_claims",
    "tokens_of",
]

_MOST_BYTES: Final = 65_536
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+")
_LONGEST_TOKEN: Final = 16_384


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


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a client reads of an access token, without any trust."""

    exp: float
    iat: float | None = None
    sub: Any = None
    sid: Any = None

    def is_same_session(self, other: AccessClaims) -> bool:
        """Tell whether both tokens say that they are of one session of one user."""
        return (self.sub, self.sid) == (other.sub, other.sid)


def read_claims(token: str) -> AccessClaims:
    """Give what an access token says of itself; `MalformedToken` when it is no JWT with an ``exp``.

    Nothing else becomes a header of a request: neither white space nor 16 KiB and more.
    """
    try:
        if len(token) > _LONGEST_TOKEN or _TOKEN.fullmatch(token) is None:
            raise ValueError("not the form of a JWT")
        payload = token.split(".")[1]
        data = pybase64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        claims = msgspec.json.decode(data, type=AccessClaims)
        if not math.isfinite(claims.exp):
            raise ValueError("no instant")
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise MalformedToken("the access token is no JWT with an exp") from None
    return claims


class TokenStorage(Protocol):
    """Keeps tokens between two runs of a program; called from any thread."""

    def load(self) -> Tokens | None:
        """Give what was saved last; None when there is nothing, or nothing that makes sense.

        Tokens without an access token are good: one is then had by the refresh token. OSError
        when the place cannot be read.
        """
        ...

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`; None forgets them. OSError when that cannot be done."""
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
                return decode_tokens(file.read(_MOST_BYTES))
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens | None) -> None:
        """Keep `tokens`, or remove the file."""
        if tokens is None:
            self._path.unlink(missing_ok=True)
        else:
            write_atomically(self._path, encode_tokens(tokens), PRIVATE)


def encode_tokens(tokens: Tokens) -> bytes:
    """Give `tokens` as a storage keeps them."""
    return msgspec.json.encode(tokens)


def decode_tokens(data: bytes) -> Tokens | None:
    """Give the tokens that a storage kept; None where it holds something else."""
    try:
        return msgspec.json.decode(data, type=Tokens)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def decode_json(data: bytes) -> Any:
    """Give the JSON of an answer; None where it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


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
