"""The refusal by which a client learns that a tool needs more scopes (RFC 6750, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send
from linqi.asgi.drain import Drain
from linqi.asgi.guards import has_scopes
from linqi.asgi.refusals import refuse_scopes
from linqi.jose.verified import Verified
from linqi.mcp.tool_scopes import ToolScopes

__all__ = ["StepUp"]

_MOST_BYTES: Final = 1_048_576
"""A larger message is not looked into: its tool still refuses, but by an error of the tool."""


class _Parameters(msgspec.Struct):
    name: str = ""


class _Message(msgspec.Struct):
    method: str = ""
    params: _Parameters | None = None


_decode: Final = msgspec.json.Decoder(_Message | list[_Message]).decode


class StepUp:
    """Answers a call of a tool with 403 where the token lacks its scopes.

    The protocol needs the status before the tool runs: a stream begins with 200. This answer is a
    signal for the client and no guard; a message that cannot be read here goes on to the server,
    where the tool checks the scopes itself.

    Args:
        app: The application of an MCP server.
        tools: The scopes that its tools need.
        realm: The realm of the challenge.

    """

    def __init__(self, app: ASGIApp, tools: ToolScopes, realm: str) -> None:
        self._app = app
        self._tools = tools
        self._realm = realm
        self._drain = Drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        is_message = scope["type"] == "http" and scope["method"] == "POST"
        if not is_message or not isinstance(scope.get("linqi"), Verified):
            await self._app(scope, receive, send)
            return
        messages = await _read(receive)
        receive = _replay(messages, receive)
        needed = self._tools.needed_by(_called(messages))
        if has_scopes(scope, *needed):
            await self._app(scope, receive, send)
        else:
            refusal = refuse_scopes(self._realm, needed)
            await refusal.send(scope, receive, send, self._drain)


async def _read(receive: Receive) -> list[Message]:
    """Return the messages of a body, to its end or to the bound."""
    messages, length = [], 0
    while True:
        message = await receive()
        messages.append(message)
        length += len(message.get("body", b""))
        if not message.get("more_body", False) or length > _MOST_BYTES:
            return messages


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that returns `messages` first."""
    left = iter(messages)

    async def next_message() -> Message:
        for message in left:
            return message
        return await receive()

    return next_message


def _called(messages: Iterable[Message]) -> list[str]:
    """Return the names of the tools that a JSON-RPC message calls, or a batch of them."""
    try:
        read = _decode(b"".join(message.get("body", b"") for message in messages))
    except (msgspec.DecodeError, RecursionError):
        return []
    calls = [read] if isinstance(read, _Message) else read
    return [call.params.name for call in calls if call.method == "tools/call" and call.params]
