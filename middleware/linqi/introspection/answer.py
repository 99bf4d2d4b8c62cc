"""What an issuer's answer says about a token: strict, without I/O (RFC 7662, section 2.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from linqi.errors import InvalidClaim, MalformedToken, RefusedAnswer
from linqi.jose._compact import parse_object
from linqi.jose.claims import Registered, read_registered

__all__ = ["LONGEST_ANSWER", "ActiveToken", "read_answer", "read_mapping"]

LONGEST_ANSWER: Final = 65_536
"""Bytes: four times the longest token that carries its claims itself."""


class ActiveToken(msgspec.Struct, frozen=True, gc=False):
    """What is known of a token that is active."""

    payload: bytes
    """The claims as strict JSON, with ``iss`` and ``exp``."""
    asked_at: float
    """When the issuer was asked, in Unix seconds."""
    expires_at: float
    """``exp`` as the issuer named it, infinite if it did not."""


def read_answer(body: bytes, issuer: str, asked_at: float, bound: float) -> ActiveToken | None:
    """Return what an introspection response says; None if the token is not active.

    Args:
        body: The JSON object of the response.
        issuer: The issuer that was asked; an ``iss`` in the response must equal it.
        asked_at: When it was asked, in Unix seconds.
        bound: For how many seconds the response counts at most.

    Raises:
        RefusedAnswer: The response is not strict JSON, has a member of a wrong type or another
            issuer, lacks ``active``, or calls a token active whose ``exp`` has passed.

    """
    try:
        claims = parse_object(body, "answer")
    except MalformedToken as error:
        raise RefusedAnswer(str(error)) from None
    # Exactly true: with a test of truth, "false" would be active.
    active = claims.pop("active", None)
    if active is False:
        return None
    if active is not True:
        raise RefusedAnswer("the answer's member active is neither true nor false")
    return _read(claims, issuer, asked_at, bound)


def read_mapping(
    given: Mapping[str, Any] | None, issuer: str, asked_at: float, bound: float
) -> ActiveToken | None:
    """Return what a function of the application says; as `read_answer`, None for None.

    A mapping without ``active`` is one of an active token.
    """
    if given is None:
        return None
    try:
        body = msgspec.json.encode({"active": True, **given})
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        raise RefusedAnswer("ask returned something else than None or claims as JSON") from None
    if len(body) > LONGEST_ANSWER:
        raise RefusedAnswer(f"ask returned claims of more than {LONGEST_ANSWER} bytes")
    return read_answer(body, issuer, asked_at, bound)


def _read(claims: dict[str, Any], issuer: str, asked_at: float, bound: float) -> ActiveToken:
    if claims.setdefault("iss", issuer) != issuer:
        raise RefusedAnswer("the answer is about a token of another issuer")
    is_endless = "exp" not in claims
    claims.setdefault("exp", asked_at + bound)
    payload = msgspec.json.encode(claims)
    registered = _registered(claims, payload)
    if registered.exp <= asked_at:
        raise RefusedAnswer("the answer calls a token active whose exp has passed")
    return ActiveToken(payload, asked_at, math.inf if is_endless else registered.exp)


def _registered(claims: dict[str, Any], payload: bytes) -> Registered:
    try:
        return read_registered(claims, payload)
    except InvalidClaim as error:
        raise RefusedAnswer(f"the answer is wrong: {error}") from None
