"""The requests of a Locust client with the token of its user."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from linqi.client.origins import origin_of
from linqi.errors import LinqiError
from linqi_storm.locust_user.answers import wire_response_of
from linqi_storm.locust_user.inspection import UserInspection
from linqi_storm.locust_user.session import UserSession

__all__ = ["AuthorizedRequests"]

_REPLAYABLE: Final = (str, bytes, dict, list, tuple, type(None))


class AuthorizedRequests:
    """Takes the place of ``request`` of a Locust client.

    Args:
        send: The client's own ``request``.
        host: The user's host: only requests to its origin carry the token.
        session: The tokens of the user.
        inspection: Checks the responses.
        logout_path: A success there ends the session.

    """

    def __init__(
        self,
        send: Callable[..., Any],
        host: str,
        session: UserSession,
        inspection: UserInspection,
        *,
        logout_path: str,
    ) -> None:
        self._send = send
        self._host = host
        self._origin = origin_of(host)
        self._session = session
        self._inspection = inspection
        self._logout_path = logout_path
        # Both client classes take these by position, in different orders.
        self._names = list(inspect.signature(send).parameters)[2:]

    def __call__(self, method: str, url: str, *values: Any, **options: Any) -> Any:
        """Send a request; what it takes and returns are those of the client's ``request``.

        Raises:
            SignedOut: The login was refused.
            Unavailable: There is no token, and none can be obtained now.

        """
        options |= zip(self._names, values, strict=False)
        if not self._may_carry_token(url, options):
            return self._send(method, url, **options)
        is_caught = options.pop("catch_response", False)
        token = self._session.token()
        response = self._ask(method, url, token, options)
        if _is_refused(response) and _is_replayable(options):
            response = self._ask_again(response, method, url, token, options)
        if not is_caught:
            with response:  # reports it
                pass
        self._present_worthless(method, url, response)
        return response

    def _ask(self, method: str, url: str, token: str, options: Mapping[str, Any]) -> Any:
        headers = {**(options.get("headers") or {}), "Authorization": f"Bearer {token}"}
        sent = self._inspection.sent(token)
        response = self._send(
            method, url, **{**options, "headers": headers, "catch_response": True}
        )
        # A redirect may have led to another host, which says nothing of the session.
        if response.status_code and origin_of(str(response.url)) == self._origin:
            answer = wire_response_of(response, has_body=not options.get("stream"))
            self._inspection.answered(sent, answer)
            self._session.adopt(answer)
            if 200 <= answer.status < 300 and urlsplit(url).path == self._logout_path:
                self._session.end()
        return response

    def _ask_again(
        self, response: Any, method: str, url: str, token: str, options: Mapping[str, Any]
    ) -> Any:
        """Get another token and send the request once more; if there is none, return `response`."""
        try:
            token = self._session.token(refused=token)
        except LinqiError:
            return response
        with response:
            response.request_meta["request_type"] = "REFUSED"
            response.success()
        return self._ask(method, url, token, options)

    def _present_worthless(self, method: str, url: str, response: Any) -> None:
        """Request a page once more with a token that must be refused, if one is due for that."""
        if method != "GET" or not 200 <= response.status_code < 300:
            return
        for token in self._inspection.worthless(url):
            options = {
                "headers": {"Authorization": f"Bearer {token}"} if token else {},
                "name": response.request_meta["name"],
                "catch_response": True,
            }
            with self._send("GET", url, **options) as refused:
                refused.request_meta["request_type"] = "HOSTILE"
                fault = self._inspection.presented(url, token, refused.status_code)
                if fault:
                    refused.failure(fault)
                elif refused.status_code:
                    refused.success()

    def _may_carry_token(self, url: str, options: Mapping[str, Any]) -> bool:
        """Return whether a request is to the host, and has no credentials of its own."""
        if options.get("auth") or any(
            name.lower() == "authorization" for name in options.get("headers") or ()
        ):
            return False
        is_whole = url.lower().startswith(("http://", "https://"))
        return origin_of(url if is_whole else self._host + url) == self._origin is not None


def _is_refused(response: Any) -> bool:
    if response.status_code != 401:
        return False
    challenge = wire_response_of(response, has_body=False).headers.get(b"www-authenticate", b"")
    return b'error="invalid_token"' in challenge


def _is_replayable(options: Mapping[str, Any]) -> bool:
    """Return whether a body can be sent twice."""
    return isinstance(options.get("data"), _REPLAYABLE) and not options.get("files")
