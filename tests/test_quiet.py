"""Quiet requests: a poll never extends a session (R2), and nothing makes a request louder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    RenewalSettings,
    SlidingRenewal,
    Threshold,
    Verifier,
)
from linqi.asgi.quiet import QuietRequests
from linqi.events import RenewalSkipped, TokenRefused, TokenRenewed
from linqi.instrumentation.prometheus import PrometheusHook
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))
QUIET = [(b"x-quiet", b"1")]


class Site:
    """A guarded application with quiet requests, and a token of 900 s."""

    def __init__(self, clock: FakeClock, *hooks: Any, **options: Any) -> None:
        self.heard: list[Any] = []
        self.renewal = SlidingRenewal(SIGNER, RenewalSettings(policy=Threshold()), clock=clock)
        self.app = App()
        self.middleware = JWTMiddleware(
            self.app,
            Verifier.trusting(SIGNER, clock=clock),
            renewal=self.renewal,
            hooks=[self.heard.append, *hooks],
            clock=clock,
            **options,
        )
        self.token = self.renewal.start("alice").token

    async def ask(self, path: str = "/me", headers: Any = (), **more: Any) -> Any:
        """Ask for a path; take up what the answer brings."""
        answer = await call(self.middleware, http(path, token=self.token, headers=headers, **more))
        self.token = answer.successor or self.token
        return answer


@pytest.mark.parametrize(
    ("path", "headers"), [("/polls", []), ("/events/news", []), ("/me", QUIET), ("/polls", QUIET)]
)
async def test_r2_a_page_left_open_ends_with_its_last_token(
    clock: FakeClock, path: str, headers: Any
) -> None:
    """A poll every 10 s is served while the token lives, and then refused: no user was active."""
    site = Site(clock, quiet=["/polls", "/events/*"], quiet_header="X-Quiet")
    statuses = []
    for _ in range(100):
        statuses.append((await site.ask(path, headers)).status)
        clock.move(10)
    assert statuses == [200] * 90 + [401] * 10
    assert site.heard[-1].quiet
    assert {type(event) for event in site.heard} == {RenewalSkipped, TokenRefused}
    assert {event.reason for event in site.heard if type(event) is RenewalSkipped} == {"quiet"}


async def test_a_visit_among_the_polls_extends_the_session(clock: FakeClock) -> None:
    """The same token, asked for by the user, brings a successor: quiet marks one request."""
    site = Site(clock, quiet=["/polls"])
    clock.move(700)
    assert (await site.ask("/polls")).successor is None
    assert (await site.ask("/me")).successor


async def test_the_quiet_header_is_off_unless_it_is_named(clock: FakeClock) -> None:
    """By default no header of a client means anything."""
    site = Site(clock)
    clock.move(700)
    assert (await site.ask(headers=QUIET)).successor


@given(
    path=st.sampled_from(["/me", "/polls", "/login"]),
    value=st.binary(max_size=20),
    at=st.integers(0, 1000),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
async def test_the_header_can_only_make_a_request_quieter(
    path: str, value: bytes, at: int, method: str
) -> None:
    """Whatever the header holds, the status is the same, and it never causes a successor."""
    answers = []
    for headers in ([], [(b"x-quiet", value)]):
        clock = FakeClock()
        site = Site(clock, quiet=["/polls"], quiet_header="X-Quiet", public=["/login"])
        clock.move(at)
        answers.append(await site.ask(path, headers, method=method))
    loud, quiet = answers
    assert quiet.status == loud.status
    assert quiet.successor is None


@pytest.mark.parametrize("path", ["/events//a", "/events/../me", "/events\\a", "/eventsx"])
async def test_a_path_that_could_be_read_otherwise_is_not_quiet(
    clock: FakeClock, path: str
) -> None:
    """It is treated as most are: guarded, and renewed."""
    site = Site(clock, quiet=["/events/*"])
    clock.move(700)
    assert (await site.ask(path)).successor


async def test_a_quiet_path_is_guarded(clock: FakeClock) -> None:
    """Quiet is no way in."""
    site = Site(clock, quiet=["/polls"], quiet_header="X-Quiet")
    assert (await call(site.middleware, http("/polls", headers=QUIET))).status == 401
    assert site.app.scopes == []
    assert site.heard[0].quiet


async def test_a_quiet_poll_keeps_its_conditions(clock: FakeClock) -> None:
    """No successor is wanted, so the application may answer 304."""
    site = Site(clock, quiet=["/polls"])
    clock.move(700)
    await site.ask("/polls", [(b"if-none-match", b'"1"')])
    assert (b"if-none-match", b'"1"') in site.app.scopes[-1]["headers"]


async def test_an_expired_poll_is_no_lag(clock: FakeClock) -> None:
    """The histogram that the tuner reads holds users who came back, not pages left open."""
    registry = CollectorRegistry()
    site = Site(clock, PrometheusHook(registry), quiet=["/polls"])
    clock.move(1000)
    for _ in range(5):
        await site.ask("/polls")
    assert registry.get_sample_value("linqi_renewal_lag_seconds_count") == 0
    assert registry.get_sample_value("linqi_expired_presented_total") == 0
    await site.ask("/me")
    assert registry.get_sample_value("linqi_renewal_lag_seconds_count") == 1
    assert registry.get_sample_value("linqi_expired_presented_total") == 1


@pytest.mark.parametrize("header", ["Accept", "authorization", "", "X-", "X-a b", "X-\xe9"])
def test_a_header_that_browsers_send_cannot_be_the_quiet_one(header: str) -> None:
    """Or every request would be quiet."""
    with pytest.raises(ConfigurationError, match="quiet header"):
        QuietRequests(header=header)


def test_ill_formed_quiet_paths_are_all_named() -> None:
    """As those of public and optional are."""
    with pytest.raises(ConfigurationError) as error:
        QuietRequests(["polls", "/a/*/b"])
    assert len(error.value.faults) == 2
    assert "the quiet path" in str(error.value)


async def test_a_loud_renewal_is_told_as_before(clock: FakeClock) -> None:
    """With quiet requests configured all others renew."""
    site = Site(clock, quiet=["/polls"], quiet_header="X-Quiet")
    clock.move(700)
    await site.ask()
    assert [type(event) for event in site.heard] == [TokenRenewed]
