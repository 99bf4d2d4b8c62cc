"""Checks what the clients of a storm receive: tokens, headers and answers."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from linqi_storm.clients.client_session import ClientSession, Tally
from linqi_storm.clients.due_rule import DueRule
from linqi_storm.clients.identity import Identity
from linqi_storm.clients.response_rules import refusal_faults, storing_faults, vary_faults
from linqi_storm.clients.token_lives import TokenLives, refresh_faults
from linqi_storm.clients.unverified_claims import claims_in
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.schema.generator_plan import GeneratorPlan
from linqi_storm.schema.identity import claims_of, subject_of
from linqi_storm.schema.violations import (
    ANOTHER_IDENTITY,
    ANOTHER_USER,
    CLEARED_COOKIES,
    EARLY_RENEWALS,
    HOSTILE_FAILED,
    LONG_LIVES,
    LONG_REFRESH,
    NO_CHALLENGE,
    NO_RETRY_AFTER,
    NO_VARY,
    OTHER_STATUS,
    OUTLIVED_SESSIONS,
    REFUSED_WITH_TOKEN,
    SAME_ID,
    SHORT_LIVES,
    STORABLE_REFUSALS,
    STORABLE_TOKENS,
    TOO_SOON,
)

__all__ = ["Inspector"]

_LONGEST_BODY: Final = 65_536
_LIFE_RULES: Final = (LONG_LIVES, SHORT_LIVES, OUTLIVED_SESSIONS)


class Inspector:
    """Counts every check and every violation in a tally.

    Only what is new is decoded: a token the first time that its session receives it. An answer is
    compared as a hash of its bytes.

    Args:
        plan: The storm, with what is known of the service.
        tally: Receives the counts.

    """

    def __init__(self, plan: GeneratorPlan, tally: Tally) -> None:
        self._zero = plan.begins_at
        self._expected = plan.expected
        self._tally = tally
        self._lives = TokenLives(plan.load.lifetime, plan.load.buffer, plan.expected)
        held_lifetime = plan.expected.held_lifetime or plan.load.lifetime
        self._first_lives = TokenLives(held_lifetime, plan.load.buffer, plan.expected)
        # Dual tokens are due by ``exp``, and tokens of an outside issuer on no grid.
        self._due = DueRule(
            plan.load.lifetime,
            plan.load.buffer,
            is_grid=plan.mode == "sliding" and plan.token_source.policy == "grid",
            is_whole=plan.load.whole_seconds,
        )
        transport = plan.transport
        self._carrier = (transport.cookie or transport.successor_header).lower().encode("ascii")
        self._varies_by = b"cookie" if transport.cookie else b"authorization"
        mark = re.escape(plan.expected.run)
        self._subjects = re.compile(rf"\buser-\d+(?:@{mark})?\b".encode())

    def began(self, session: ClientSession, token: bytes) -> float | None:
        """Take the identity of a session from its first token; return when the token is due.

        If the storm itself named the user, the token must be that user's. None if it has no claims.
        """
        claims = claims_in(token)
        if not claims:
            return None
        session.identity = Identity(claims, is_exact=self._expected.is_embedded)
        if run := self._expected.run:
            subject = subject_of(session.index)
            wanted = {"sub": subject, **claims_of(run, subject)}
            wrong = [name for name, value in wanted.items() if claims.get(name) != value]
            self._judge(
                ANOTHER_IDENTITY,
                f"session {session.index} began with another {', '.join(wrong)}" if wrong else "",
            )
        self._judge_all(
            _LIFE_RULES, self._first_lives.faults(claims, sent_at=None, received_at=None), session
        )
        return self._due.due_at(claims) - self._zero

    def received(
        self, session: ClientSession, token: bytes, *, sent_at: float | None, now: float
    ) -> tuple[float, float]:
        """Check a new token of a session; return when it expires and when it is due.

        All instants are seconds since the barrier. Without `sent_at` the rest of the token's life
        is not judged.
        """
        claims = claims_in(token)
        fault = session.identity.fault(claims) if session.identity is not None else ""
        self._judge(ANOTHER_IDENTITY, f"session {session.index}: a token {fault}" if fault else "")
        self._judge_id(session.identity, claims)
        faults = self._lives.faults(
            claims,
            sent_at=None if sent_at is None else sent_at + self._zero,
            received_at=now + self._zero,
        )
        self._judge_all(_LIFE_RULES, faults, session)
        expires_at = float(claims.get("exp", 0.0))
        return expires_at - self._zero, self._due.due_at(claims) - self._zero

    def probed(self, token: bytes, successor: bytes, *, sent_at: float, now: float) -> float:
        """Check the successor of a token that no client holds; return when it expires."""
        claims = claims_in(successor)
        identity = Identity(claims_in(token), is_exact=self._expected.is_embedded)
        fault = identity.fault(claims)
        self._judge(ANOTHER_IDENTITY, f"a token {fault}" if fault else "")
        self._judge_id(identity, claims)
        faults = self._lives.faults(
            claims, sent_at=sent_at + self._zero, received_at=now + self._zero
        )
        self._judge_all(_LIFE_RULES, faults, None)
        return float(claims.get("exp", 0.0)) - self._zero

    def renewed(
        self, session: ClientSession, response: WireResponse, *, due_at: float, now: float
    ) -> None:
        """Check the headers of a response with a successor, and that it did not come too early."""
        early = due_at - now - self._expected.clock_error
        what = f"session {session.index} was renewed {early:.3f} s early" if early > 0 else ""
        self._judge(EARLY_RENEWALS, what)
        self._judge_all((STORABLE_TOKENS,), storing_faults(response), session)
        self._judge_all((NO_VARY,), vary_faults(response, self._varies_by), session)

    def issued(self, session: ClientSession | None, response: WireResponse) -> None:
        """Check a response with tokens in its body: its headers, and what it says of their life."""
        self._judge_all((STORABLE_TOKENS,), storing_faults(response), session)
        faults = refresh_faults(response.body, self._expected)
        self._judge_all((LONG_REFRESH,), faults, session)

    def refused(
        self, response: WireResponse, *, has_token: bool = True, is_page: bool = True
    ) -> None:
        """Check a response other than 2xx."""
        rules: tuple[str, ...] = (REFUSED_WITH_TOKEN,)
        if response.status == 401:
            rules = (REFUSED_WITH_TOKEN, NO_CHALLENGE, STORABLE_REFUSALS)
            rules = (*rules, CLEARED_COOKIES) if is_page else rules
        faults = refusal_faults(response, self._carrier, has_token=has_token, is_page=is_page)
        self._judge_all(rules, faults, None)

    def limited(self, response: WireResponse) -> None:
        """Check the 429 to a refresh: it says how long to wait (RFC 6585, section 4)."""
        is_said = b"retry-after" in response.headers
        self._judge(NO_RETRY_AFTER, "" if is_said else "a refresh was answered 429 without it")

    def retried(self, early: str) -> None:
        """Count a refresh that was tried again after a 429; `early` says how much too soon."""
        self._judge(TOO_SOON, early)

    def worthless(
        self, rule: str, response: WireResponse, what: str, *, tolerated: Container[int] = ()
    ) -> None:
        """Check the status of the response to a request that must be refused.

        Args:
            rule: The rule that forbids to accept it.
            response: The response.
            what: Describes the request.
            tolerated: Statuses beside 401 that are no fault: 400 for what is no token at all.

        """
        status = response.status
        self._judge(rule, what if 200 <= status < 300 else "")
        is_intended = status == 503 and self._expected.may_be_unavailable
        is_failed = status >= 500 and not is_intended
        self._judge(HOSTILE_FAILED, f"{status}, {what}" if is_failed else "")
        if 300 <= status < 500 and status != 429:
            is_right = status == 401 or status in tolerated
            self._judge(OTHER_STATUS, "" if is_right else f"{status}, {what}")

    def answered(self, identity: Identity | None, response: WireResponse) -> None:
        """Check that the application took the client for its own user.

        An embedded application always answers who the caller is. Of other applications an answer
        is wrong if it names users of the storm and the client's own is not among them.
        """
        if identity is None:
            return
        body = response.body
        if self._expected.is_embedded:
            what = "" if identity.is_echo(body) else f"not {identity.subject}"
            self._judge(ANOTHER_USER, what)
            return
        if not self._expected.run:
            return
        named = {found.partition(b"@")[0] for found in self._subjects.findall(body[:_LONGEST_BODY])}
        if named:
            is_own = identity.subject.encode() in named
            self._judge(ANOTHER_USER, "" if is_own else f"not {identity.subject}")

    def _judge_id(self, identity: Identity | None, claims: Mapping[str, Any]) -> None:
        if identity is not None:
            is_wrong = identity.repeats_id(claims)
            self._judge(SAME_ID, f"jti {str(claims.get('jti'))[:8]}" if is_wrong else "")

    def _judge(self, rule: str, what: str) -> None:
        self._tally.checked[rule] += 1
        if what:
            self._tally.violate(rule, what)

    def _judge_all(
        self,
        rules: Iterable[str],
        faults: Iterable[tuple[str, str]],
        session: ClientSession | None,
    ) -> None:
        for rule in rules:
            self._tally.checked[rule] += 1
        for rule, what in faults:
            where = "" if session is None else f"session {session.index}: "
            self._tally.violate(rule, where + what)
