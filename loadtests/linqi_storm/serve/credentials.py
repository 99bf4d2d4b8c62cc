"""The user name and password of a login request, read from a bounded body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from linqi.errors import LinqiError

__all__ = ["Credentials", "LoginFault", "read_credentials"]

_MOST_BYTES: Final = 4_096
_LONGEST: Final = 256


class LoginFault(LinqiError):
    """A login request that cannot be read; ``status`` is the HTTP status to answer."""

    code = "invalid_login"

    def __init__(self, status: int, hint: str) -> None:
        super().__init__(hint)
        self.status = status
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The user name and password of a login request."""

    username: str
    password: str = field(repr=False)


async def read_credentials(request: Request) -> Credentials:
    """Return the user name and password in the JSON or form body of `request`.

    Raises:
        LoginFault: With status 400, 413 or 415 if the body cannot be read.

    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/x-www-form-urlencoded"):
        raise LoginFault(415, "send application/json or application/x-www-form-urlencoded")
    body = await _read_bounded(request)
    fields = _parse_json(body) if kind == "application/json" else _parse_form(body)
    return Credentials(
        username=_text(fields, "username"),
        password=_text(fields, "password"),
    )


async def _read_bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise LoginFault(413, f"the body is larger than {_MOST_BYTES} bytes")
    return bytes(body)


def _parse_json(body: bytes) -> dict[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise LoginFault(400, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise LoginFault(400, "the body is not a JSON object")
    return fields


def _parse_form(body: bytes) -> dict[str, object]:
    try:
        text = body.decode()
        fields = parse_qs(text, keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    except ValueError:
        raise LoginFault(400, "the body is not a form") from None
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise LoginFault(400, f"{name} is not a string of 1 to {_LONGEST} characters")
    try:
        value.encode()  # JSON can contain lone surrogates, which password hashes reject
    except UnicodeEncodeError:
        raise LoginFault(400, f"{name} is not Unicode text") from None
    return value
