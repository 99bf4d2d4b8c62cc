"""What a Locust user receives, judged by the rules of a storm."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from linqi.client.tokens import ClientTokens
from linqi_storm.clients.client_session import ClientSession, Sent, Tally
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.login_endpoint import read_credential, refusal_of
from linqi_storm.clients.unverified_claims import expiry_of
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.locust_user.violations import report
from linqi_storm.run.url_target import CLOCK_SECONDS, is_on_this_machine
from linqi_storm.schema.expectations import SAME_CLOCK, Expectations
from linqi_storm.schema.generator_plan import GeneratorPlan, TokenSource
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.violations import (
    EXPIRED,
    FAILED,
    FORCED_OUT,
    TWO_SUCCESSORS,
    UNANSWERED_DUE,
)

__all__ = ["UserInspection"]

_UNKNOWN: Final = StormLoad(lifetime=1e12, buffer=1e-9, compression=1.0)
"""The lifetime and the buffer of the service are not known, so they are not judged."""
_NEVER_EARLY: Final = float("-inf")
_MOST_PAGES: Final = 20
_KEPT: Final = 4


class UserInspection:
    """Follows the session of one user, and reports what its responses break.

    The rules are those of the clients of ``linqi storm``. Instants are Unix seconds.

    Args:
        user: The Locust user, with its settings.
        number: Of the user.
        presents: Whether pages are requested with tokens that they must refuse, too.
        clock: Returns Unix seconds.

    """

    def __init__(
        self,
        user: Any,
        number: int,
        *,
        presents: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._user = user
        self._clock = clock
        is_near = is_on_this_machine(user.host or "")
        self._expected = Expectations(
            leeway=user.leeway_seconds,
            clock_error=SAME_CLOCK if is_near else CLOCK_SECONDS,
            grace=user.grace_seconds,
        )
        self._tally = Tally()
        self._reported: Counter[str] = Counter()
        self._session = ClientSession(number, 0.0, self._expected)
        self._inspector = self._inspector_for("sliding")
        self._replaced: deque[tuple[str, float]] = deque(maxlen=_KEPT)
        self._pages: dict[str, bool] = {}
        """Whether a page refuses requests without a token."""
        self._presents = presents

    def began(self, answer: WireResponse, tokens: ClientTokens) -> None:
        """Follow the session of a login."""
        token = tokens.access_token.encode()
        self._inspector = self._inspector_for("dual" if tokens.refresh_token else "sliding")
        self._inspector.began(self._session, token)
        self._session.revoked_at = None
        self._session.begin(token, expiry_of(token), tokens.refresh_token, tokens.sequence)
        self._inspector.issued(self._session, answer)
        self._report()

    def ended(self) -> None:
        """Expect refusals from now on: the user has signed out."""
        self._session.revoked_at = self._clock()

    def sent(self, token: str) -> Sent:
        """Return a record of a request that is sent now."""
        sent = self._session.send(self._clock())
        if sent.token != token.encode():
            sent = Sent(
                token.encode(),
                expiry_of(token.encode()),
                sent.at,
                is_due=False,
                identity=sent.identity,
                logins=sent.logins,
            )
        return sent

    def answered(self, sent: Sent, answer: WireResponse) -> None:
        """Judge the response to a request with a token."""
        if answer.status >= 500 and answer.status != 503:
            self._tally.violate(FAILED, f"a request was answered {answer.status}")
        if not 200 <= answer.status < 300:
            self._inspector.refused(answer)
        if sent.logins == self._session.logins:
            self._follow(sent, answer)
        self._report()

    def _follow(self, sent: Sent, answer: WireResponse) -> None:
        """Judge what the response says of the session, and keep its successor."""
        session, now, expires_at = self._session, self._clock(), self._session.expires_at
        is_success = 200 <= answer.status < 300
        successor = answer.headers.get(b"x-refresh-token") if is_success else None
        if successor is not None:
            self._inspector.renewed(session, answer, due_at=_NEVER_EARLY, now=now)
        if successor is not None and successor != session.token:
            expires_at, _ = self._inspector.received(session, successor, sent_at=None, now=now)
            self._replace(sent.token, sent.expires_at)
        session.answered(sent, answer.status, successor, expires_at, now, self._tally)

    def asked_refresh(self, presented: str) -> float:
        """Return when the user first presented a refresh token; it does so now."""
        return self._session.first_asked(presented, self._clock())

    def refreshed(self, presented: str, answer: WireResponse, asked_at: float) -> None:
        """Judge the response to a refresh."""
        session, now = self._session, self._clock()
        if answer.status == 200:
            self._keep(presented, answer, asked_at, now)
        elif answer.status >= 300:
            if answer.status >= 500 and answer.status != 503:
                self._tally.violate(FAILED, f"a refresh was answered {answer.status}")
            self._inspector.refused(answer, is_page=False)
            if answer.status in (400, 401):
                session.refresh_refused(presented, now, refusal_of(answer), self._tally)
        self._report()

    def _keep(self, presented: str, answer: WireResponse, asked_at: float, now: float) -> None:
        session = self._session
        try:
            got = read_credential(
                answer.body,
                now,
                "access_token",
                sequence=session.sequence + 1,
                refresh_token=presented,
            )
        except ValueError as error:
            self._tally.note_violation(f"a refresh was answered 200 without a token: {error}")
            return
        token = got.token.encode()
        self._inspector.issued(session, answer)
        if token != session.token:
            self._inspector.received(session, token, sent_at=asked_at, now=now)
            self._replace(session.token, session.expires_at)
        session.refreshed(
            presented,
            token,
            got.expires_at,
            got.refresh_token,
            got.refresh_expires_at,
            got.sequence,
            now,
            self._tally,
            asked_at=asked_at,
        )

    def worthless(self, url: str) -> Iterator[str]:
        """Yield the tokens that the page `url` must refuse, if one is due; an empty one is none.

        A page that serves requests without a token is left out afterwards.
        """
        now = self._clock() - self._expected.leeway - self._expected.clock_error
        if not self._presents or not self._replaced or self._replaced[0][1] > now:
            return
        token, _ = self._replaced.popleft()  # before other requests of the user run
        if url not in self._pages and len(self._pages) < _MOST_PAGES:
            yield ""
        if self._pages.get(url):
            yield token

    def presented(self, url: str, token: str, status: int) -> str:
        """Judge the status of a request with a worthless token; return the fault, or nothing."""
        if not token:
            self._pages[url] = status == 401
            return ""
        if not 200 <= status < 300:
            return ""
        self._tally.violate(
            EXPIRED, f"accepted {self._clock() - expiry_of(token.encode()):.1f} s late"
        )
        self._report()
        return "accepted"

    def _replace(self, token: bytes, expires_at: float) -> None:
        if self._presents:
            self._replaced.append((token.decode(), expires_at))

    def _inspector_for(self, mode: Any) -> Inspector:
        plan = GeneratorPlan(
            scenario="",
            url=self._user.host or "",
            mode=mode,
            token_source=TokenSource(policy="plain"),
            expected=self._expected,
            load=_UNKNOWN,
        )
        return Inspector(plan, self._tally)

    def _report(self) -> None:
        """Report what the tally holds beyond what was reported."""
        tally = self._tally
        found = Counter(tally.violations)
        found[FORCED_OUT] = tally.forced_out
        if self._user.is_grid or self._session.refresh_token:
            found[TWO_SUCCESSORS] = tally.duplicate_successors
        del found[UNANSWERED_DUE]  # a share of a few per cent is normal
        new, self._reported = found - self._reported, found
        what = "; ".join(tally.examples)
        for kept in (tally.examples, tally.renewed_at, tally.asked_at):
            kept.clear()
        for rule in new.elements():
            report(self._user, rule, what)
