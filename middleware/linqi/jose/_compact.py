"""The compact serialisation of a token: segments, base64url, strict JSON (RFC 7515, section 3.1).

Its form is checked before anything in it is trusted.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import msgspec
import pybase64

from linqi.errors import MalformedToken, UnsupportedToken

__all__ = [
    "decode_segment",
    "parse_object",
    "read_members",
    "split_any",
    "split_token",
    "token_bytes",
]

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# A last character whose unused bits are not zero is a second spelling of the same bytes
# (RFC 4648, section 3.5): two spellings would be two cache keys for one token.
_ENDS: Final = ((_ALPHABET, b""), (b"", b""), (b"AQgw", b"=="), (_ALPHABET[::4], b"="))
"""The last characters of segments with 0 to 3 characters beyond whole groups, and their padding."""
_BRACKET, _BRACE = b"[{"  # as integers: looking for one takes 0.01 us, for bytes 0.2
_PLUS, _SLASH, _EQUALS = b"+/="
_MOST_MEMBERS: Final = 256
_DEEPEST: Final = 16

_decode_base64 = pybase64.b64decode
_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


def split_token(token: bytes, most_bytes: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the signing input, then header, payload and signature, all still encoded.

    The length is checked before anything is decoded, and the token is never split at every dot
    (golang-jwt, CVE-2025-30204).

    Raises:
        MalformedToken: The token is not three segments, has padding or characters of standard
            base64, or exceeds `most_bytes`.
        UnsupportedToken: It has five segments (JWE).

    """
    if len(token) > most_bytes:
        raise MalformedToken(f"the token has {len(token)} bytes, at most {most_bytes} are read")
    segments = token.split(b".", 3)
    if len(segments) != 3:
        if token.count(b".") == 4:
            raise UnsupportedToken("five segments: an encrypted token (JWE) is never decrypted")
        raise MalformedToken("not three segments joined by dots")
    if _PLUS in token or _SLASH in token or _EQUALS in token:
        raise MalformedToken("a segment has characters outside base64url")
    header, payload, signature = segments
    return token[: -1 - len(signature)], header, payload, signature


def split_any(token: bytes, most_bytes: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what `split_token` returns, also of a token whose segments are padded.

    For a verifier that trusts AWS load balancers, whose signatures cover the padding. A padded
    token has exactly one spelling: the padding of RFC 4648, section 4, in all segments. Its header
    segment is returned with a dot after it, so that it is not mistaken for that of another token,
    which may have the same characters.

    Raises:
        MalformedToken: As `split_token`, or the padding is another.
        UnsupportedToken: It has five segments (JWE).

    """
    if _EQUALS not in token or len(token) > most_bytes:
        return split_token(token, most_bytes)
    segments = token.split(b".", 3)
    bare = [segment.rstrip(b"=") for segment in segments]
    # Whole groups with two characters of padding at most leave the one right number of them.
    if any(len(s) & 3 or len(s) - len(b) > 2 for s, b in zip(segments, bare, strict=True)):
        raise MalformedToken("the segments are not padded to whole groups")
    _, header, payload, signature = split_token(b".".join(bare), most_bytes)
    return token[: -1 - len(segments[2])], header + b".", payload, signature


def decode_segment(segment: bytes) -> bytes:
    """Return the bytes of a segment of `split_token` in canonical base64url.

    It must be unpadded (RFC 7515, section 2). `split_token` has refused what the decoder takes
    beside it; the decoder refuses all else.
    """
    last, padding = _ENDS[len(segment) & 3]
    try:
        if segment[-1] in last:
            # By position: the keyword validate= costs as much as the decoding of 300 characters.
            return _decode_base64(segment + padding, b"-_", True)
    except (ValueError, IndexError):
        pass
    raise MalformedToken("a segment is empty or not canonical base64url")


def read_members(segment: bytes, most_bytes: int) -> dict[str, Any]:
    """Return the members of the header in an encoded segment of at most `most_bytes`."""
    if len(segment) > most_bytes:
        raise MalformedToken(f"the header has {len(segment)} bytes, at most {most_bytes} are read")
    return parse_object(decode_segment(segment), "header")


def parse_object(data: bytes, what: str, *, most_members: int = _MOST_MEMBERS) -> dict[str, Any]:
    """Return `data` read as one JSON object in strict UTF-8; `what` names it in errors.

    Raises:
        MalformedToken: The JSON has duplicate members, NaN or infinities, lone surrogates, more
            than `most_members` members in all, nesting deeper than 16, or integers of more than
            4,300 digits (RFC 7519, section 4; RFC 8725, section 3.7).

    """
    try:
        parsed = _decode_json(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError):
        raise MalformedToken(f"the {what} is not strict JSON") from None
    if type(parsed) is not dict:
        raise MalformedToken(f"the {what} is not a JSON object")
    # No brace but the first and no bracket: nothing is nested. Inside a string, or after white
    # space, they only cost the second check.
    is_flat = _BRACKET not in data and data.find(_BRACE, 1) < 0
    if (len(parsed) if is_flat else _measure(parsed, 1, what)) > most_members:
        raise MalformedToken(f"the {what} has more than {most_members} members")
    # JSON without white space and without duplicate names is encoded to the same bytes again:
    # 0.4 us for 300 bytes. Other JSON is read a second time, member by member: 5 us.
    if _encode_json(parsed) != data:
        _refuse_duplicates(data, what)
    return parsed


def _measure(value: Any, depth: int, what: str) -> int:
    """Return the number of members of an object or list and of all objects in it."""
    if depth > _DEEPEST:
        raise MalformedToken(f"the {what} is nested deeper than {_DEEPEST}")
    is_object = type(value) is dict
    members = len(value) if is_object else 0
    for item in value.values() if is_object else value:
        kind = type(item)
        if kind is dict or kind is list:  # a call for each text and number took 4 us of a token
            members += _measure(item, depth + 1, what)
    return members


def _refuse_duplicates(data: bytes, what: str) -> None:
    """Read `data` a second time, member by member, and raise where a name occurs twice."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise MalformedToken(f"the {what} has a member twice")

    try:
        json.loads(data, object_pairs_hook=check, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedToken(f"the {what} is not strict JSON") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def token_bytes(token: bytes | str) -> bytes:
    """Return `token` as bytes; `MalformedToken` where it is neither bytes nor ASCII text."""
    if isinstance(token, str):
        try:
            return token.encode("ascii")
        except UnicodeEncodeError:
            raise MalformedToken("the token has characters outside ASCII") from None
    if isinstance(token, bytes):
        return bytes(token)
    raise MalformedToken(f"a token is bytes or str, not {type(token).__name__}")
