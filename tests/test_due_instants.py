"""When a token is due, for how long it can be renewed, and what its successor is (R1, R8)."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linqi import Grid, Jitter, RenewalSettings, Threshold, Verified
from linqi.jose.verified import Origin
from linqi.sessions.decision import NOT_DUE, Due, NotRenewed, decide
from linqi.sessions.renewal import TokenSpan, first_span

NOW = 1_800_000_000
ROUNDING = 1e-5
"""Seconds: sums of instants and durations are exact to about 2e-7 s."""
PURE = st.sampled_from([Grid(), Jitter(0.1), Jitter(1.0)])
POLICIES = st.one_of(PURE, st.just(Threshold()))
SESSION = st.text("abcdef0123456789", min_size=1, max_size=22)
INSTANT = st.floats(NOW, NOW + 10**6)
SHARE = st.floats(0, 1, exclude_max=True)


@st.composite
def some_settings(draw: Any, policy: Any = POLICIES) -> RenewalSettings:
    """Draw settings in their ranges, with whole seconds or fractions."""
    whole = draw(st.booleans())
    lifetime: float = draw(st.integers(10, 3600) if whole else st.floats(1, 3600))
    most = math.ceil(lifetime / 2) - 1 if whole else lifetime * 0.499
    buffer = draw(st.integers(1, most) if whole else st.floats(lifetime / 1000, most))
    return RenewalSettings(
        lifetime=lifetime,
        buffer=buffer,
        policy=draw(policy),
        max_session=draw(st.one_of(st.just(366 * 86_400), st.floats(lifetime, 20_000))),
        whole_seconds=whole,
    )


def verified(session: str, span: TokenSpan, login: float, end: float, due_at: float) -> Verified:
    """Return the verified token of a session, as the verifier makes it."""
    payload = {"iss": "i", "jti": f"t{span.expires_at}", "sid": session}
    payload |= {"exp": span.expires_at, "iat": span.issued_at}
    payload |= {"auth_time": login, "session_end": end}
    iat = span.issued_at
    encoded = json.dumps(payload).encode()
    return Verified(
        Origin("i", "ES256", "k", True), span.expires_at, iat, iat, (), encoded, b"", due_at
    )


class Session:
    """A session as two workers would see it: its token, and what `decide` says about it."""

    def __init__(self, settings: RenewalSettings, name: str, login: float) -> None:
        self.settings = settings
        self.name = name
        self.span = first_span(name, login, settings)
        self.login = self.span.issued_at
        self.end = settings.session_end(name, self.login)

    @property
    def due_at(self) -> float:
        """When the token is due."""
        return self.settings.due_at(self.name, self.span.issued_at, self.span.expires_at)

    def decide(self, now: float) -> Any:
        """Decide on the token at `now`."""
        token = verified(self.name, self.span, self.login, self.end, self.due_at)
        return decide(token, now, self.settings)

    def within(self, share: float) -> float:
        """Return an instant at which the token is near expiry and valid."""
        after = math.nextafter(self.due_at, math.inf)
        return after + share * 0.999 * (self.span.expires_at - after)

    def renew(self, share: float) -> Due | None:
        """Replace the token at some instant of its window; None if the session ends with it."""
        assume(self.within(share) < self.span.expires_at)
        decision = self.decide(self.within(share))
        if not isinstance(decision, Due):
            assert decision == NotRenewed("at_end", self.end)
            return None
        self.span = decision.span
        return decision


@given(some_settings(), SESSION, INSTANT, st.lists(SHARE, max_size=6))
def test_r1_no_token_lives_longer_than_the_lifetime_or_its_session(
    settings: RenewalSettings, name: str, login: float, shares: list[float]
) -> None:
    """Neither by its claims nor from the instant that it is made at, in any generation."""
    session = Session(settings, name, login)
    assert session.span.expires_at - login <= settings.lifetime + ROUNDING
    for share in shares:
        now = session.within(share)
        if session.renew(share) is None:
            break
        assert session.span.issued_at <= now
        assert session.span.expires_at <= now + settings.lifetime + ROUNDING
    span = session.span
    assert span.expires_at - span.issued_at <= settings.lifetime + ROUNDING
    assert span.expires_at <= session.end <= session.login + settings.max_session + ROUNDING


@given(some_settings(), SESSION, INSTANT, st.lists(SHARE, max_size=6))
def test_r8_no_window_is_shorter_than_the_buffer(
    settings: RenewalSettings, name: str, login: float, shares: list[float]
) -> None:
    """A token is due strictly after its ``iat``, and at least one buffer before its ``exp``.

    The period is the most that it can be due after ``iat``.
    """
    session = Session(settings, name, login)
    for share in [*shares, 0.0]:
        span, due_at = session.span, session.due_at
        assert due_at <= span.expires_at - settings.buffer
        if span.expires_at < session.end:  # the last token ends with its session
            assert span.issued_at < due_at
            assert due_at - span.issued_at <= settings.lifetime - settings.buffer + ROUNDING
        if session.renew(share) is None:
            return


@given(some_settings(), SESSION, INSTANT, st.lists(SHARE, min_size=1, max_size=6))
def test_successors_rise(
    settings: RenewalSettings, name: str, login: float, shares: list[float]
) -> None:
    """``exp`` rises and ``iat`` never falls, so a client that keeps the later token is right."""
    session = Session(settings, name, login)
    for share in shares:
        before = session.span
        if session.renew(share) is None:
            return
        assert session.span.expires_at > before.expires_at
        assert session.span.issued_at >= before.issued_at


@given(some_settings(st.just(Grid())), SESSION, INSTANT, SHARE, st.lists(SHARE, max_size=4))
def test_a_successor_on_the_grid_is_not_due_when_it_is_made(
    settings: RenewalSettings, name: str, login: float, last: float, shares: list[float]
) -> None:
    """It is due at the next grid point, one buffer before its end: one renewal for each period."""
    session = Session(settings, name, login)
    for share in [*shares, last]:
        now = session.within(share)
        if session.renew(share) is None or session.span.expires_at == session.end:
            return
        assert now < session.due_at
        assert session.due_at == pytest.approx(
            session.span.expires_at - settings.buffer, abs=ROUNDING
        )
        assert session.decide(now) is NOT_DUE


@given(some_settings(PURE), SESSION, INSTANT, SHARE, SHARE, st.lists(SHARE, max_size=4))
def test_all_workers_make_the_same_successor(
    settings: RenewalSettings,
    name: str,
    login: float,
    early: float,
    late: float,
    shares: list[float],
) -> None:
    """Whenever in the window two requests come, id, iat and exp of the successor are equal.

    The window of a first token may be longer than a period: there the two must be in one period.
    """
    session = Session(settings, name, login)
    for share in shares:
        if session.renew(share) is None:
            return
    period = settings.lifetime - settings.buffer
    one, two = session.within(early), session.within(late)
    assume(max(one, two) < min(session.span.expires_at, session.due_at + period - ROUNDING))
    assert session.decide(one) == session.decide(two)


@given(SESSION, INSTANT)
def test_parallel_renewals_of_the_plain_policy_agree_within_a_second(
    name: str, login: float
) -> None:
    """Its tokens live from the second they are made in, so two seconds make two successors."""
    session = Session(RenewalSettings(policy=Threshold()), name, login)
    second = session.due_at + 10
    assert session.decide(second) == session.decide(second + 0.999)
    assert session.decide(second) != session.decide(second + 1)


@given(some_settings(), SESSION, INSTANT, SHARE)
def test_a_token_is_near_expiry_just_after_its_due_instant(
    settings: RenewalSettings, name: str, login: float, share: float
) -> None:
    """``now == due_at`` is not due; the smallest step later is, up to ``exp`` and not at it."""
    session = Session(settings, name, login)
    assert session.decide(session.due_at) is NOT_DUE
    assert session.decide(session.due_at - share * settings.lifetime) is NOT_DUE
    assert session.decide(session.within(0)) is not NOT_DUE
    assert session.decide(session.within(share)) is not NOT_DUE
    assert session.decide(session.span.expires_at) == NotRenewed("expired")


@given(some_settings(), some_settings(), SESSION, INSTANT, SHARE, SHARE)
def test_a_token_of_other_settings_is_renewed_before_it_expires(
    old: RenewalSettings,
    new: RenewalSettings,
    name: str,
    login: float,
    share: float,
    again: float,
) -> None:
    """A deploy that changes lifetime, buffer or policy ends no session, and bounds hold at once.

    The token is due at the latest one new buffer before its end, and at any due instant the
    successor ends later than the token, and at most one new lifetime from then.
    """
    session = Session(replace(old, max_session=366 * 86_400), name, login)
    if session.renew(share) is None:
        return
    session.settings = replace(new, max_session=366 * 86_400)
    before = session.span
    assert session.due_at <= before.expires_at - new.buffer
    now = session.within(again)
    assume(now > before.issued_at)  # a longer buffer makes it due before it was made
    made = session.renew(again)
    assert made is not None
    assert before.expires_at < made.span.expires_at <= now + new.lifetime + ROUNDING
    assert made.span.issued_at >= before.issued_at


@given(some_settings(st.just(Grid())), SESSION, INSTANT)
def test_first_tokens_of_the_older_rule_stay_due_at_their_grid_point(
    settings: RenewalSettings, name: str, login: float
) -> None:
    """They end one buffer after their first grid point, so nothing changes for them."""
    session = Session(replace(settings, max_session=366 * 86_400), name, login)
    session.span = TokenSpan(
        issued_at=session.login,
        expires_at=settings.policy.access(name, session.login, settings).expires_at,
    )
    latest = session.span.expires_at - settings.buffer
    assert session.due_at == pytest.approx(latest, abs=ROUNDING)
    assert session.renew(0.5) is not None


@given(some_settings(st.just(Grid())), SESSION, INSTANT, SHARE, st.floats(-4000, 4000))
def test_a_clock_that_steps_neither_shortens_a_window_nor_ends_a_session(
    settings: RenewalSettings, name: str, login: float, share: float, step: float
) -> None:
    """A worker whose clock is wrong makes a token that ends later, or leaves the token alone."""
    session = Session(replace(settings, max_session=366 * 86_400), name, login)
    now = session.within(share) + step
    decision = session.decide(now)
    if now <= session.due_at:
        assert decision is NOT_DUE
    elif now >= session.span.expires_at:
        assert decision == NotRenewed("expired")
    else:
        assert decision.span.expires_at > session.span.expires_at
        assert decision.span.issued_at >= session.span.issued_at


@given(some_settings(), SESSION, INSTANT)
def test_dual_tokens_keep_exp_locked_to_the_grid(
    settings: RenewalSettings, name: str, now: float
) -> None:
    """Clients that judge by ``exp`` see one buffer before it what the server sees: the due time."""
    span = settings.policy.access(name, now, settings)
    latest = span.expires_at - settings.buffer
    assert settings.due_at(name, span.issued_at, span.expires_at) == pytest.approx(
        latest, abs=ROUNDING
    )
    assert span.expires_at <= now + settings.lifetime + ROUNDING
    if settings.policy == Grid():
        assert now < latest + ROUNDING


@given(SESSION, INSTANT, SHARE)
def test_jitter_shortens_by_at_most_its_width(name: str, login: float, share: float) -> None:
    """A token of jitter 0.25 lives between lifetime - width * period and the lifetime."""
    session = Session(RenewalSettings(policy=Jitter(0.25), whole_seconds=False), name, login)
    for _ in range(2):
        life = session.span.expires_at - session.span.issued_at
        assert 900 - 0.25 * 600 - ROUNDING <= life <= 900 + ROUNDING
        due_at = session.due_at
        assert session.renew(share) is not None
        assert session.span.issued_at == due_at


def test_a_token_without_a_session_is_due_one_buffer_before_its_end() -> None:
    """Service tokens and foreign tokens have no grid."""
    settings = RenewalSettings()
    assert settings.due_at(None, NOW, NOW + 900) == NOW + 600
    assert settings.due_at("s", None, NOW + 900) == NOW + 600
    assert settings.refresh_in(None, NOW, NOW + 900, NOW + 550) == 50
    assert settings.refresh_in(None, NOW, NOW + 900, NOW + 650) == 0
