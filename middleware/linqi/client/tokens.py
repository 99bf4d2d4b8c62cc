"""The tokens of a client, and the storages that keep them between runs."""

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
    "ClientTokens",
    "FileStorage",
    "MemoryStorage",
    "TokenStorage",
    "decode_json",
    "decode_tokens",
    "encode_tokens",
    "is_later",
    "read_claims",
    "tokens_of",
]

_MOST_BYTES: Final = 65_536
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+")
_LONGEST_TOKEN: Final = 16_384


class ClientTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one response of ``/login`` or ``/refresh``."""

    access_token: str
    refresh_token: str = ""
    """Empty if a cookie carries it, or if the server slides sessions."""
    sequence: int = -1
    """Rises with every rotation; -1 if the server does not count."""
    refresh_in: float | None = None
    """Seconds after which the server advises a renewal; None if it does not say."""

    def __repr__(self) -> str:
        return f"<ClientTokens sequence={self.sequence}>"


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims that a client reads from an access token; they are not verified."""

    exp: float
    iat: float | None = None
    sub: Any = None
    sid: Any = None

    def is_same_session(self, other: AccessClaims) -> bool:
        """Return whether both tokens name the same ``sub`` and ``sid``."""
        return (self.sub, self.sid) == (other.sub, other.sid)


def read_claims(token: str) -> AccessClaims:
    """Return the claims of an access token, without verification.

    Only a token that passes may become a header of a request: no white space, no line breaks, at
    most 16 KiB.

    Raises:
        MalformedToken: It is not a JWT with a finite ``exp``.

    """
    try:
        if len(token) > _LONGEST_TOKEN or _TOKEN.fullmatch(token) is None:
            raise ValueError("not the form of a JWT")
        payload = token.split(".")[1]
        data = pybase64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        claims = msgspec.json.decode(data, type=AccessClaims)
        if not math.isfinite(claims.exp):
            raise ValueError("not a finite exp")
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise MalformedToken("the access token is not a JWT with a numeric exp") from None
    return claims


def is_later(tokens: ClientTokens, current: ClientTokens, *, by_sequence: bool = False) -> bool:
    """Return whether `tokens` were issued after `current`: a higher sequence in the same session.

    With one sequence the later ``exp`` decides, and another session of the same user is later,
    unless `by_sequence`: then nothing but a higher sequence counts.

    Raises:
        MalformedToken: An access token is not a JWT with an ``exp``.

    """
    has_higher_sequence = tokens.sequence > current.sequence
    if not current.access_token or not tokens.access_token:
        return has_higher_sequence
    claims, before = read_claims(tokens.access_token), read_claims(current.access_token)
    if not claims.is_same_session(before):
        return claims.sub == before.sub and not by_sequence
    if tokens.sequence == current.sequence and not by_sequence:
        return claims.exp > before.exp
    return has_higher_sequence


class TokenStorage(Protocol):
    """Keeps tokens between two runs of a program; its methods are called from any thread."""

    def load(self) -> ClientTokens | None:
        """Return the saved tokens; None if there are none or they cannot be decoded.

        A storage may return tokens without an access token: the client then gets one with the
        refresh token.

        Raises:
            OSError: The storage cannot be read.

        """
        ...

    def save(self, tokens: ClientTokens | None) -> None:
        """Save `tokens`; None removes those that are saved.

        Raises:
            OSError: The storage cannot be written.

        """
        ...


@dataclass(slots=True)
class MemoryStorage:
    """Keeps tokens in memory until the process ends."""

    tokens: ClientTokens | None = field(default=None, repr=False)

    def load(self) -> ClientTokens | None:
        """Return the saved tokens."""
        return self.tokens

    def save(self, tokens: ClientTokens | None) -> None:
        """Replace the saved tokens."""
        self.tokens = tokens


class FileStorage:
    """Keeps tokens in a file of mode 0600, which is replaced atomically."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> ClientTokens | None:
        """Return the saved tokens.

        Raises:
            OSError: The file exists and cannot be read.

        """
        try:
            with self._path.open("rb") as file:
                return decode_tokens(file.read(_MOST_BYTES))
        except FileNotFoundError:
            return None

    def save(self, tokens: ClientTokens | None) -> None:
        """Write `tokens`, or remove the file if they are None."""
        if tokens is None:
            self._path.unlink(missing_ok=True)
        else:
            write_atomically(self._path, encode_tokens(tokens), PRIVATE)


def encode_tokens(tokens: ClientTokens) -> bytes:
    """Return `tokens` as the JSON that a storage keeps."""
    return msgspec.json.encode(tokens)


def decode_tokens(data: bytes) -> ClientTokens | None:
    """Return the tokens of a storage's JSON; None if it is something else."""
    try:
        return msgspec.json.decode(data, type=ClientTokens)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def decode_json(data: bytes) -> Any:
    """Return the decoded JSON of a response body; None if it is not JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def tokens_of(body: Any, before: ClientTokens | None) -> ClientTokens:
    """Return the tokens of a token response (RFC 6749, section 5.1).

    Args:
        body: The decoded JSON of the response.
        before: The tokens at hand. If the server does not rotate, it may leave the refresh token
            out, and theirs stays (section 6). None at login.

    Raises:
        MalformedToken: The body is not a token response.

    """
    try:
        tokens = msgspec.convert(body, ClientTokens)
    except msgspec.ValidationError:
        raise MalformedToken(
            "the response is not a token response (RFC 6749, section 5.1)"
        ) from None
    if not tokens.refresh_token and before is not None:
        return msgspec.structs.replace(tokens, refresh_token=before.refresh_token)
    return tokens
