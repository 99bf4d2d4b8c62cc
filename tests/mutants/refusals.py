"""Mutants of responses: the headers of refusals and of successors."""

from __future__ import annotations

import dataclasses

from linqi.asgi.route_response import RouteResponse, error_body
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import GARBAGE, SHORT, STORE_OUTAGE, TABS

_REFUSE = "linqi.asgi.middleware:refuse"
_DELIVER = "linqi.asgi.renewal_response:RenewalResponder.deliver"


@mutant(SHORT, killed_by="refusals that carry a token")
def live_token_on_every_refusal(patch: Patch) -> None:
    """Every 401 carries the token that was verified last, as if it were a successor."""
    last = [b""]

    @patch("linqi.jose.verifier:Verifier.verify")
    def verify(original, self, token):
        verified = original(self, token)
        last[0] = bytes(token) if isinstance(token, bytes) else token.encode()
        return verified

    @patch(_REFUSE)
    def refuse(original, error, realm):
        refusal = original(error, realm)
        return dataclasses.replace(
            refusal, headers=(*refusal.headers, (b"x-refresh-token", last[0]))
        )


@mutant(SHORT, killed_by="refusals that carry a token")
def refusal_repeats_the_token(patch: Patch) -> None:
    """The body of a refusal repeats the token that was presented."""
    presented = [b""]

    @patch("linqi.asgi.middleware:JWTMiddleware._refuse")
    async def _refuse(original, self, error, token, scope, receive, send):
        presented[0] = token or b""
        await original(self, error, token, scope, receive, send)

    @patch(_REFUSE)
    def refuse(original, error, realm):
        refusal = original(error, realm)
        body = b'{"error":"invalid_token","token":"' + presented[0] + b'"}'
        headers = [header for header in refusal.headers if header[0] != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        return dataclasses.replace(refusal, headers=tuple(headers), body=body)


@mutant(SHORT, killed_by="refusals without a bearer challenge")
def refusal_without_challenge(patch: Patch) -> None:
    """A 401 has no ``WWW-Authenticate`` (RFC 9110, section 11.6.1)."""
    _change_refusal(patch, without=b"www-authenticate")


@mutant(SHORT, killed_by="refusals that a cache may store")
def refusal_may_be_cached(patch: Patch) -> None:
    """A shared cache may store a 401 and give it to others."""
    _change_refusal(patch, without=b"cache-control", more=((b"cache-control", b"max-age=60"),))


@mutant(SHORT, killed_by="refusals that clear cookies")
def refusal_clears_cookies(patch: Patch) -> None:
    """A 401 clears the cookie of the session, which a race may have renewed."""
    cookie = b"__Host-access=; Path=/; Max-Age=0; Secure; HttpOnly"
    _change_refusal(patch, more=((b"set-cookie", cookie),))


def _change_refusal(
    patch: Patch, *, without: bytes = b"", more: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    @patch(_REFUSE)
    def refuse(original, error, realm):
        refusal = original(error, realm)
        kept = tuple(header for header in refusal.headers if header[0] != without)
        return dataclasses.replace(refusal, headers=(*kept, *more))


@mutant(SHORT, killed_by="refusals with another status than 401")
def expired_tokens_get_403(patch: Patch) -> None:
    """Bad tokens are answered 403, for which no client signs in again."""

    @patch(_REFUSE)
    def refuse(original, error, realm):
        refusal = original(error, realm)
        return dataclasses.replace(refusal, status=403)


@mutant(SHORT, killed_by="tokens that a cache may store")
def successor_without_no_store(patch: Patch) -> None:
    """A response with a successor does not say ``no-store``."""
    _change_delivery(patch, without=b"cache-control")


@mutant(SHORT, killed_by="successors without Vary")
def successor_without_vary(patch: Patch) -> None:
    """A response with a successor does not vary by ``Authorization``."""
    _change_delivery(patch, without=b"vary")


def _change_delivery(patch: Patch, *, without: bytes) -> None:
    @patch(_DELIVER)
    def deliver(original, self, issued, transport, origin, headers):
        is_delivered = original(self, issued, transport, origin, headers)
        headers[:] = [header for header in headers if header[0] != without]
        return is_delivered


@mutant(TABS, killed_by="tokens that a cache may store")
def refreshed_tokens_may_be_cached(patch: Patch) -> None:
    """The response of ``/refresh`` does not say ``no-store`` (RFC 6749, section 5.1)."""

    @patch("linqi.asgi.route_response:RouteResponse.send")
    async def send(original, self, send, more):
        async def send_cacheable(message):
            if message["type"] == "http.response.start":
                kept = [h for h in message["headers"] if h[0] not in (b"cache-control", b"pragma")]
                message = {**message, "headers": kept}
            await send(message)

        await original(self, send_cacheable, more)


@mutant(STORE_OUTAGE, killed_by="5xx other than an intended 503")
def store_outage_answers_500(patch: Patch) -> None:
    """While the store is down, ``/refresh`` is answered 500 instead of 503."""

    @patch("linqi.asgi.routes:refusal")
    def refusal(original, error):
        return dataclasses.replace(original(error), status=500)


@mutant(STORE_OUTAGE, killed_by="forced logouts of honest users")
def store_outage_signs_users_out(patch: Patch) -> None:
    """While the store is down, ``/refresh`` says that the refresh token is invalid."""

    @patch("linqi.asgi.routes:refusal")
    def refusal(original, error):
        return RouteResponse(400, error_body("invalid_grant", "sign in again"))


@mutant(GARBAGE, killed_by="hostile requests answered 5xx")
def garbage_is_answered_500(patch: Patch) -> None:
    """A token that is no token raises in the middleware."""

    @patch("linqi.jose.verifier:Verifier._verify_cold", is_counted=False)
    def _verify_cold(original, self, data, digest=b"", *, is_signed=False, by=None):
        if data.count(b".") != 2:
            patch.reach()
            raise ValueError("a mutant")
        return original(self, data, digest, is_signed=is_signed, by=by)
