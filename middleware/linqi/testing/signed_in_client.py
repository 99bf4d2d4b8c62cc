"""A test client with a signed-in user, which keeps the latest token as a browser would."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from linqi.asgi.transports import HeaderTransport
from linqi.jose._compact import decode_segment, parse_object
from linqi.jwks.remote import RemoteKeys
from linqi.sessions.dual import Sessions
from linqi.testing.fake_issuer import FakeIssuer
from linqi.testing.faults import CannotTest
from linqi.testing.parts import Parts, parts_of
from linqi.testing.tokens import make_token

__all__ = ["SignedIn", "has_own_keys", "signed_in"]

_REQUESTS: Final = frozenset(
    {
        *("get", "options", "head", "post", "put", "patch", "delete", "trace", "query"),
        *("request", "open", "generic", "stream", "websocket", "websocket_connect"),
        *("simulate_get", "simulate_options", "simulate_head", "simulate_post", "simulate_put"),
        *("simulate_patch", "simulate_delete", "simulate_request", "get_stream", "simulate_ws"),
    }
)
"""The methods of test clients that send a request and take ``headers``."""


class SignedIn:
    """A client of which every request carries the token of one user.

    It has the methods of the client, which itself is not changed. After a response with a
    successor, the next request carries that.

    Attributes:
        client: The client that sends.
        refresh_token: The refresh token of a session of `Sessions`; None for a sliding session.
        successors: The tokens that responses have brought, the oldest first.

    """

    def __init__(
        self,
        client: Any,
        token: str | None,
        *,
        parts: Parts,
        begin: Callable[[Sessions], Awaitable[tuple[str, str]]] | None = None,
    ) -> None:
        self.client = client
        self.refresh_token: str | None = None
        self.successors: list[str] = []
        self._token = token
        self._parts = parts
        self._begin = begin
        self._is_async = _is_async(client)
        if token is None and not self._is_async:
            self._run(self._sign_in)

    @property
    def token(self) -> str:
        """The latest access token."""
        if self._token is None:
            raise CannotTest(
                "the session starts with the first request of an async client, or with"
                " `await signed_in(...).start()`: it has no token yet"
            )
        return self._token

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the next request, for requests that a test sends by other means."""
        header = self._parts.header or HeaderTransport()
        return {header.header: " ".join(filter(None, (header.scheme, self.token)))}

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the latest token, not verified."""
        return dict(parse_object(decode_segment(self.token.encode().split(b".")[1]), "payload"))

    @property
    def session_id(self) -> str:
        """The ``sid`` of the session."""
        return str(self.claims["sid"])

    @property
    def expires_at(self) -> float:
        """The ``exp`` of the latest token, in Unix seconds."""
        return float(self.claims["exp"])

    async def start(self) -> SignedIn:
        """Sign in now, where the first request would."""
        if self._token is None:
            await self._sign_in()
        return self

    def revoke(self) -> Any:
        """Revoke the session: the next request is refused. To be awaited with an async client.

        Raises:
            CannotTest: The application has no sessions, so it checks no revocation.

        """
        if self._parts.sessions is None:
            raise CannotTest(
                "the application has no Sessions (a [store] in linqi.toml), so it checks no"
                " revocation"
            )
        return self._revoke() if self._is_async else self._run(self._revoke)

    async def _revoke(self) -> None:
        if self._parts.sessions is not None:
            await self._parts.sessions.revoke(self.session_id)

    async def _sign_in(self) -> None:
        if self._begin is not None and self._parts.sessions is not None:
            self._token, self.refresh_token = await self._begin(self._parts.sessions)

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` where the application runs: on the client's event loop, if it keeps one."""
        portal = getattr(self.client, "portal", None) or getattr(
            self.client, "blocking_portal", None
        )
        if portal is not None and hasattr(portal, "call"):
            portal.call(work)
            return
        failed: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(work())
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                failed.append(error)

        # In a thread, because the test may run in an event loop.
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if name not in _REQUESTS or not callable(found):
            return found
        return self._sending_async(found) if self._is_async else self._sending(found)

    def _sending(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def request(*arguments: Any, **options: Any) -> Any:
            options["headers"] = _with(self.headers, options.get("headers"))
            return self._noted(send(*arguments, **options))

        return request

    def _sending_async(self, send: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(send):
            return self._sending(send)  # such as `stream`, a context manager

        async def request(*arguments: Any, **options: Any) -> Any:
            await self.start()
            options["headers"] = _with(self.headers, options.get("headers"))
            return self._noted(await send(*arguments, **options))

        return request

    def _noted(self, response: Any) -> Any:
        """Take over the successor in a response."""
        headers = getattr(response, "headers", None)
        if headers is not None and hasattr(headers, "get"):
            successor = headers.get(self._parts.successor_header)
            if successor:
                self._token = str(successor)
                self.successors.append(self._token)
        return response

    def __repr__(self) -> str:
        return f"<SignedIn {type(self.client).__name__}, {len(self.successors)} successors>"


def signed_in(
    client: Any,
    subject: str = "alice",
    *,
    scopes: Sequence[str] = (),
    claims: Mapping[str, Any] | None = None,
    near_expiry: bool = False,
    expired: bool = False,
    app: object = None,
    issuer: FakeIssuer | None = None,
) -> SignedIn:
    """Return `client` with `subject` signed in.

    The application's own keys sign, or those of `issuer`. The application verifies the token as
    any other: nothing is turned off. The session is a sliding one where the application renews
    tokens, else one of `Sessions` where it has a store.

    Args:
        client: A test client whose methods take ``headers``, synchronous or not.
        subject: The ``sub``.
        scopes: The ``scope``.
        claims: Claims of the application.
        near_expiry: Whether half of the buffer is left.
        expired: Whether the token expired a second ago.
        app: The application, where it cannot be found from the client.
        issuer: Signs, where an outside issuer does in production; it is attached if it was not.

    Raises:
        CannotTest: No application is found, or it has no keys that sign.

    """
    place = client if app is None else app
    parts = parts_of(place)
    if parts.header is None:
        raise CannotTest(
            "the application takes tokens in cookies only: sign in by its own route, so that the"
            " client has the cookie"
        )
    aged = near_expiry or expired
    if issuer is not None:
        if not issuer.stands_in_for(place):
            issuer.attach(place)
        token = issuer.token(
            subject, scopes=scopes, claims=claims, near_expiry=near_expiry, expired=expired
        )
        return SignedIn(client, token, parts=parts)
    if parts.renewal is not None and not aged:
        issued = parts.renewal.start(subject, claims=claims, scopes=scopes)
        return SignedIn(client, issued.token, parts=parts)
    if parts.sessions is not None and not aged:

        async def begin(sessions: Sessions) -> tuple[str, str]:
            pair = await sessions.sign_in(subject, claims=claims, scopes=scopes)
            return pair.access_token, pair.refresh_token

        return SignedIn(client, None, parts=parts, begin=begin)
    token = make_token(
        place, subject, scopes=scopes, claims=claims, near_expiry=near_expiry, expired=expired
    )
    return SignedIn(client, token, parts=parts)


def has_own_keys(place: object) -> bool:
    """Return whether the application in `place` has a key that signs, so that it needs no issuer.

    An application whose keys are public ones, without an outside issuer, counts too: signing then
    fails with what is wrong.
    """
    parts = parts_of(place)
    if parts.renewal is not None or parts.sessions is not None:
        return True
    return not all(isinstance(one.keys, RemoteKeys) for one in parts.verifier.issuers)


def _with(own: Mapping[str, str], given: Any) -> Any:
    """Return the headers of a request: those that the test gives, which come first, and `own`."""
    if given is None:
        return dict(own)
    pairs = [*given.items()] if hasattr(given, "items") else [*given]
    names = {_text(name).lower() for name, _ in pairs}
    added = [(name, value) for name, value in own.items() if name.lower() not in names]
    return [*pairs, *added] if not isinstance(given, Mapping) else dict([*pairs, *added])


def _text(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name


def _is_async(client: Any) -> bool:
    for name in ("get", "simulate_get", "request"):
        method = getattr(client, name, None)
        if callable(method):
            return inspect.iscoroutinefunction(method)
    raise CannotTest(f"{type(client).__name__} has no method get, simulate_get or request")
