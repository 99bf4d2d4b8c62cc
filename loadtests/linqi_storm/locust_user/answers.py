"""The responses of both Locust clients in the form that the rules of a storm read."""

from __future__ import annotations

from typing import Any

from linqi_storm.clients.wire_responses import WireResponse

__all__ = ["wire_response_of"]


def wire_response_of(response: Any, *, has_body: bool = True) -> WireResponse:
    """Return the status, the headers and the body of a Locust response.

    Args:
        response: Of `HttpSession` or `FastHttpSession`.
        has_body: Whether the body may be read; a stream is left to the task.

    """
    answer = WireResponse(status=response.status_code)
    for name, value in _fields_of(response):
        key, text = name.lower().encode("latin-1"), value.encode("latin-1", "replace")
        if key == b"set-cookie":
            answer.cookies.append(text)
        else:
            known = answer.headers.get(key)
            answer.headers[key] = text if known is None else known + b", " + text
    if has_body:
        answer.body = response.content or b""
    return answer


def _fields_of(response: Any) -> list[tuple[str, str]]:
    """Return the header fields, a repeated one several times."""
    raw = getattr(response, "raw", None)  # of requests, whose own headers are joined
    headers = getattr(raw, "headers", None) or response.headers or {}
    return [(str(name), str(value)) for name, value in headers.items()]
