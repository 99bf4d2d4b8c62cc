"""The state of a client session, and the violations that it counts."""

import pytest

from linqi_storm.clients.client_session import ClientSession, Sent, Tally
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.violations import EXPIRED

BUFFER = 10.0


def a_session(expires_at: float = 30.0, *, refresh: str = "") -> tuple[ClientSession, Tally]:
    """Return a session with a token that is due ten seconds before it expires."""
    session = ClientSession(7, BUFFER)
    session.begin(b"first", expires_at, refresh)
    return session, Tally()


def ask(
    session: ClientSession,
    tally: Tally,
    at: float,
    status: int = 200,
    successor: bytes | None = None,
    expires_at: float = 0.0,
    took: float = 0.01,
) -> str:
    """Send a request at an instant and process its response."""
    session.visit(at, tally)
    sent = session.send(at)
    return session.answered(sent, status, successor, expires_at, at + took, tally)


def test_a_successor_is_adopted_and_counted_once() -> None:
    """Parallel responses with the same successor are one renewal."""
    session, tally = a_session()
    sent = [session.send(21.0) for _ in range(3)]
    verdicts = [session.answered(one, 200, b"second", 50.0, 21.1, tally) for one in sent]
    assert verdicts == ["renewed"] * 3
    assert (session.token, tally.renewals, tally.duplicate_successors) == (b"second", 1, 0)
    assert tally.renewed_at == {21_100: 1}


def test_two_successors_of_one_token_are_a_violation() -> None:
    """Further successors count as one violation per token."""
    session, tally = a_session()
    sent = [session.send(21.0) for _ in range(4)]
    for one, successor in zip(sent, (b"second", b"other", b"other", b"third"), strict=True):
        session.answered(one, 200, successor, 50.0, 21.1, tally)
    assert (tally.renewals, tally.duplicate_successors) == (1, 1)


def test_workers_need_not_agree_beyond_the_next_grid_point() -> None:
    """A first token may be used for longer than a period: its successor is another one then."""
    for at, violations in ((24.0, 1), (26.0, 0)):
        session, tally = ClientSession(7, BUFFER, Expectations(period=5)), Tally()
        session.begin(b"first", 30.0)
        sent = session.send(20.5)
        session.answered(sent, 200, b"second", 50.0, 21.0, tally)
        session.answered(sent, 200, b"third", 55.0, at, tally)
        assert tally.duplicate_successors == violations


def test_a_refresh_after_the_grace_may_bring_another_successor() -> None:
    """The reply was lost, and the client tries again with the token that it holds."""
    for at, violations in ((24.0, 1), (26.0, 0)):
        session, tally = ClientSession(7, BUFFER, Expectations(grace=5)), Tally()
        session.begin(b"first", 30.0, "r0")
        assert session.first_asked("r0", 20.5) == session.first_asked("r0", 22.0) == 20.5
        session.refreshed("r0", b"second", 50.0, "r1", 99.0, 1, 21.0, tally)
        session.refreshed("r0", b"third", 55.0, "r2", 99.0, 1, at, tally)
        assert tally.duplicate_successors == violations


def test_a_session_that_all_tabs_lose_is_lost_once() -> None:
    """The first refused tab signs in; the others wait for its tokens."""
    session, tally = a_session(refresh="r0")
    verdicts = [session.refresh_refused("r0", 31.0, "400", tally) for _ in range(4)]
    assert verdicts == ["lost", "refused", "refused", "refused"]
    assert (tally.forced_out, tally.cycles) == (1, 1)


def test_a_request_knows_the_login_whose_token_it_presents() -> None:
    """A late response must not be judged as if it belonged to the session of a later login."""
    session, _ = a_session()
    sent = session.send(21.0)
    assert sent.logins == session.logins
    session.begin(b"another", 90.0)
    assert sent.logins != session.logins


def test_a_quiet_request_is_no_visit_and_brings_no_successor() -> None:
    """It counts no lag and no chance to renew; a successor in its response is a violation."""
    session, tally = a_session()
    sent = session.send(25.0)
    assert session.polled(sent, 200, None, 25.1, tally) == "ok"
    assert (tally.lags, session.is_silent, tally.quiet, tally.quiet_renewed) == ([], True, 1, 0)
    assert session.polled(sent, 200, b"second", 25.1, tally) == "ok"
    assert (session.token, tally.renewals, tally.quiet_renewed) == (b"first", 0, 1)
    assert "quiet request" in tally.examples[0]
    assert ask(session, tally, 31.0, 401) == "lost"
    assert (tally.lapsed, tally.forced_out) == (1, 0), "a poll is no request in the buffer"


def test_a_quiet_request_with_a_live_token_is_not_refused() -> None:
    """A 401 before expiry is a forced logout, also for a quiet request."""
    session, tally = a_session()
    assert session.polled(session.send(25.0), 401, None, 25.1, tally) == "lost"
    assert tally.forced_out == 1


def test_a_refusal_by_a_clock_that_is_ahead_is_no_forced_logout() -> None:
    """A token may have expired for the service before it has for the client."""
    for error, forced_out, lapsed in ((0.0, 2, 0), (0.05, 0, 2)):
        tally = Tally()
        session = ClientSession(7, BUFFER, Expectations(clock_error=error))
        session.begin(b"first", 30.0)
        assert ask(session, tally, 29.96, 401) == "lost"
        session.begin(b"second", 30.0, "r0", refresh_expires_at=40.0)
        assert session.refresh_refused("r0", 39.97, "400", tally) == "lost"
        assert (tally.forced_out, tally.lapsed) == (forced_out, lapsed)


def test_a_late_answer_does_not_replace_a_newer_token() -> None:
    """The token with the later expiry is kept."""
    session, tally = a_session()
    early = session.send(21.0)
    ask(session, tally, 21.0, successor=b"second", expires_at=50.0)
    ask(session, tally, 41.0, successor=b"third", expires_at=70.0)
    session.answered(early, 200, b"second", 50.0, 41.5, tally)
    assert session.token == b"third"


def test_a_live_token_refused_is_a_forced_logout() -> None:
    """No client may be refused before its token expires."""
    session, tally = a_session()
    assert ask(session, tally, 5.0, status=401) == "lost"
    assert (tally.forced_out, tally.lapsed) == (1, 0)
    assert tally.examples


def test_no_successor_for_a_request_in_the_buffer_is_a_forced_logout() -> None:
    """A client that made a request in the buffer must get a successor."""
    session, tally = a_session()
    ask(session, tally, 22.0)
    assert ask(session, tally, 31.0, status=401) == "lost"
    assert (tally.forced_out, tally.lapsed) == (1, 0)


def test_a_session_without_a_request_in_the_buffer_has_lapsed() -> None:
    """That is the cost of the buffer's length and no fault of the servers."""
    session, tally = a_session()
    ask(session, tally, 5.0)
    assert ask(session, tally, 31.0, status=401) == "lost"
    assert (tally.forced_out, tally.lapsed, tally.cycles) == (0, 1, 1)


def test_a_session_whose_responses_were_discarded_is_counted_apart() -> None:
    """The scenario lost it, not the servers."""
    session, tally = a_session()
    session.dropped(session.send(22.0))
    assert ask(session, tally, 31.0, status=401) == "lost"
    assert (tally.forced_out, tally.lapsed, tally.by_lost_reply) == (0, 0, 1)


def test_parallel_refusals_of_one_token_lose_the_session_once() -> None:
    """A page of many requests is one loss."""
    session, tally = a_session()
    sent = [session.send(31.0) for _ in range(5)]
    verdicts = [session.answered(one, 401, None, 0, 31.1, tally) for one in sent]
    assert verdicts.count("lost") == 1
    assert tally.lapsed == 1


def test_an_old_token_that_expires_in_transit_is_no_loss() -> None:
    """The client holds a newer token by then."""
    session, tally = a_session()
    slow = session.send(29.9)
    ask(session, tally, 29.95, successor=b"second", expires_at=60.0)
    assert session.answered(slow, 401, None, 0, 30.2, tally) == "refused"
    assert (tally.forced_out, tally.lapsed) == (0, 0)


def test_an_expired_token_that_is_accepted_is_a_violation() -> None:
    """A request sent at the instant of expiry or later must be refused."""
    session, tally = a_session()
    ask(session, tally, 30.0)
    assert tally.violations[EXPIRED] == 1


def test_a_token_that_expires_while_it_is_answered_is_not() -> None:
    """It had not expired when it was sent."""
    session, tally = a_session()
    sent = Sent(b"first", 30.0, 29.99, True)
    session.answered(sent, 200, None, 0, 30.5, tally)
    assert tally.violations[EXPIRED] == 0


def test_the_lag_is_counted_once_a_token_expired_ones_included() -> None:
    """The lag is the time from due for renewal to the next request."""
    session, tally = a_session()
    ask(session, tally, 12.0)
    ask(session, tally, 23.0, successor=b"second", expires_at=60.0)
    ask(session, tally, 65.0, status=401)
    assert tally.lags == [(7, 3.0), (7, 15.0)]
    assert tally.expired_presented == 1


def refreshed(session: ClientSession, tally: Tally, presented: str, got: str, at: float) -> None:
    """Process a pair of tokens."""
    session.refreshed(presented, got.encode(), at + 20, got, 1e9, int(got), at, tally)


def test_one_refresh_token_must_not_bring_two_successors() -> None:
    """Tabs that refresh at the same time share one successor; another one is a violation."""
    session, tally = a_session(refresh="0")
    refreshed(session, tally, "0", "1", 31.0)
    refreshed(session, tally, "0", "1", 31.1)
    assert (tally.renewals, tally.duplicate_successors) == (1, 0)
    refreshed(session, tally, "0", "2", 31.2)
    assert tally.duplicate_successors == 1


def test_the_pair_with_the_highest_sequence_is_kept() -> None:
    """A late response does not restore an old refresh token."""
    session, tally = a_session(refresh="0")
    refreshed(session, tally, "1", "2", 33.0)
    refreshed(session, tally, "0", "1", 33.1)
    assert session.refresh_token == "2"


def test_a_refresh_token_refused_before_its_end_is_a_forced_logout() -> None:
    """Unless the session was revoked on purpose, or a newer token is held."""
    session, tally = a_session(refresh="0")
    assert session.refresh_refused("old", 31.0, "reused", tally) == "refused"
    assert session.refresh_refused("0", 31.0, "reused", tally) == "lost"
    assert tally.forced_out == 1
    session.revoked_at = 40.0
    assert session.refresh_refused("0", 41.0, "revoked", tally) == "refused"
    assert tally.forced_out == 1


@pytest.mark.parametrize("status", [500, 503, 302, 429])
def test_other_statuses_lose_no_session(status: int) -> None:
    """They are counted as outcomes, and the token held is kept."""
    session, tally = a_session()
    assert ask(session, tally, 25.0, status=status) == "refused"
    assert (tally.forced_out, tally.lapsed) == (0, 0)
