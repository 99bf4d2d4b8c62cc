"""Mutants of renewal as a whole: how often a token is signed, how fast, and who loses a session."""

from __future__ import annotations

import asyncio
import secrets
import time

from linqi import Key
from linqi.errors import InvalidSignature, TokenRevoked
from linqi.sessions.sliding import PendingRenewal
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import (
    BUDGET,
    DEPLOY,
    FEW,
    LOST_SUCCESSORS,
    POLLS,
    SLIDING,
    STORE_OUTAGE,
)

_RESPOND = "linqi.asgi.middleware:JWTMiddleware._respond"


@mutant(SLIDING, killed_by="renewals signed twice by one worker")
def each_request_signs(patch: Patch) -> None:
    """Parallel requests with one near-expiry token each sign a successor: no flight, no memo."""

    @patch("linqi.sessions.sliding:SlidingRenewal.begin")
    def begin(original, self, verified, due, now):
        return PendingRenewal(asyncio.ensure_future(self._make(verified, due)), is_first=True)


@mutant(LOST_SUCCESSORS, killed_by="renewals with two different successors")
def two_different_successors(patch: Patch) -> None:
    """The ``jti`` of a successor is random, so that two workers make two tokens of one."""

    @patch("linqi.sessions.decision:_derive_id")
    def _derive_id(original, session, token_id, expires_at):
        return secrets.token_urlsafe(16)


@mutant(SLIDING, killed_by="delay of renewals beside other requests, milliseconds")
def renewal_half_a_second_slower(patch: Patch) -> None:
    """Each response that carries a successor comes 0.5 s later."""

    @patch("linqi.asgi.renewal_response:RenewalResponder._renewed")
    async def _renewed(original, self, wanted, message, is_early):
        await asyncio.sleep(0.5)
        return await original(self, wanted, message, is_early)


@mutant(FEW, killed_by="event loops blocked, per cent of the time")
def signing_blocks_the_loop(patch: Patch) -> None:
    """Each signature blocks the event loop for 0.3 s."""

    @patch("linqi.sessions.sliding:SlidingRenewal._issue")
    def _issue(original, self, claims, now):
        time.sleep(0.3)
        return original(self, claims, now)


@mutant(SLIDING, killed_by="5xx other than an intended 503")
def renewal_fails_with_500(patch: Patch) -> None:
    """A request with a near-expiry token is answered 500."""

    @patch("linqi.asgi.renewal_response:RenewalResponder.serve")
    async def serve(original, self, app, scope, receive, send, wanted):
        raise RuntimeError("a mutant")


@mutant(SLIDING, killed_by="honest requests told to slow down")
def honest_requests_get_429(patch: Patch) -> None:
    """Every fortieth request of honest users is answered 429."""
    _answer_sometimes(patch, 40, 429)


@mutant(STORE_OUTAGE, killed_by="5xx other than an intended 503")
def pages_fail_while_the_store_is_down(patch: Patch) -> None:
    """Every tenth page is answered 500, also while the store is down and 503 is expected."""
    _answer_sometimes(patch, 10, 500)


def _answer_sometimes(patch: Patch, every: int, status: int) -> None:
    seen = [0]

    @patch(_RESPOND, is_counted=False)
    def _respond(original, self, scope, receive, send, verified, transport):
        seen[0] += 1
        if seen[0] % every:
            return original(self, scope, receive, send, verified, transport)
        patch.reach()
        return _empty(send, status), None


async def _empty(send, status):
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@mutant(SLIDING, killed_by="forced logouts of honest users")
def good_tokens_are_refused_now_and_then(patch: Patch) -> None:
    """One of 150 good tokens is refused, and its user is signed out."""
    seen = [0]

    @patch("linqi.jose.verifier:Verifier.verify", is_counted=False)
    def verify(original, self, token):
        verified = original(self, token)
        seen[0] += 1
        if seen[0] % 150 == 0:
            patch.reach()
            raise InvalidSignature("a mutant")
        return verified


@mutant(SLIDING, killed_by="forced logouts of honest users")
def old_token_dies_at_its_renewal(patch: Patch) -> None:
    """A renewed token is refused at once, so that parallel requests of its page get 401."""
    renewed = set()

    @patch("linqi.sessions.sliding:SlidingRenewal.begin")
    def begin(original, self, verified, due, now):
        begun = original(self, verified, due, now)
        renewed.add(verified.digest)
        return begun

    @patch("linqi.jose.verifier:Verifier.recheck", is_counted=False)
    def recheck(original, self, verified):
        original(self, verified)
        if verified.digest in renewed:
            patch.reach()
            raise TokenRevoked("a mutant")


@mutant(SLIDING, killed_by="forced logouts of honest users")
def each_worker_has_a_key_of_its_own(patch: Patch) -> None:
    """Each worker signs with a key that it made at its start, and the others do not know."""

    @patch("linqi.jose.keys:KeySet.load")
    def load(original, cls, path, algorithms=()):
        keys = original(cls, path).keys
        return cls([*keys, Key.generate(keys[-1].alg)])


@mutant(DEPLOY, killed_by="forced logouts of honest users")
def restart_ends_the_sessions(patch: Patch) -> None:
    """A worker refuses the tokens that were issued before it started."""
    began = time.time()

    @patch("linqi.jose.verifier:Verifier.recheck", is_counted=False)
    def recheck(original, self, verified):
        original(self, verified)
        if (verified.issued_at or 0) < began:
            patch.reach()
            raise TokenRevoked("a mutant")


@mutant(BUDGET, killed_by="forced logouts of honest users")
def budget_defers_the_most_urgent(patch: Patch) -> None:
    """The budget defers renewals for ever, also within the hard margin."""

    @patch("linqi.sessions.budget:RenewalBudget.affords")
    def affords(original, self, now, left, buffer, hard_margin):
        return False


@mutant(POLLS, killed_by="sessions extended by quiet requests")
def quiet_requests_renew(patch: Patch) -> None:
    """Polls of an open page extend its session, so that it never ends for lack of its user."""

    @patch("linqi.asgi.quiet:QuietRequests.includes")
    def includes(original, self, scope):
        return False
