"""When a key set is fetched again and how long it is trusted: decisions without I/O."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError, RefreshSettings, RemoteLimits
from linqi.jwks.freshness import Schedule, lifetime_of
from linqi.jwks.location import KeySetLocation
from linqi.jwks.url import url_fault

SETTINGS = RefreshSettings()
NEW = Schedule(settings=SETTINGS)


def test_a_set_is_cold_fresh_stale_then_expired() -> None:
    """RFC 9111, section 4.2, with stale-if-error of RFC 5861 bounded; the ends are exclusive."""
    held = NEW.started(0, is_forced=False).succeeded(0, 600, 0)
    assert NEW.status(1e9) == "cold"
    seen = [held.status(now) for now in (0, 599.9, 600, 4199.9, 4200)]
    assert seen == ["fresh", "fresh", "stale", "stale", "expired"]


def test_j5_refresh_comes_at_eighty_percent_and_never_later() -> None:
    """The jitter only makes it earlier, so that processes do not fetch together."""
    assert NEW.succeeded(100, 600, 0).next_attempt_at == 580
    assert NEW.succeeded(100, 600, 1).next_attempt_at == pytest.approx(100 + 480 * 0.9)


def test_j1_failures_double_the_wait_up_to_the_longest() -> None:
    """30, 60, 120, 120: counted from the start of each attempt."""
    schedule, waits = NEW, []
    for now in (0.0, 1000.0, 2000.0, 3000.0):
        schedule = schedule.started(now, is_forced=False).failed(now, 0)
        waits.append(schedule.next_attempt_at - now)
    assert waits == [30, 60, 120, 120]


def test_an_attempt_under_way_counts_from_its_start() -> None:
    """An attempt that hangs does not allow a second one."""
    assert not NEW.started(0, is_forced=True).may_force(29.9)
    assert NEW.started(0, is_forced=True).may_force(30)


def test_a_scheduled_success_leaves_the_forced_attempt_free() -> None:
    """A key that is published right after a refresh is found at once."""
    assert NEW.started(0, is_forced=False).succeeded(0, 600, 0).may_force(0.1)
    assert not NEW.started(0, is_forced=True).succeeded(0, 600, 0).may_force(0.1)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 4000), st.sampled_from(["ok", "fail", "flood"]), st.floats(0, 1)),
        max_size=60,
    )
)
def test_j1_no_history_makes_more_than_one_attempt_per_cooldown(
    steps: list[tuple[float, str, float]],
) -> None:
    """Scheduled and forced attempts together: at most two successes in a cooldown, failures one."""
    schedule, now, failed, forced = NEW, 0.0, [], []
    for gap, outcome, chance in steps:
        now += gap
        is_forced = outcome == "flood"
        if not (schedule.may_force(now) if is_forced else now >= schedule.next_attempt_at):
            continue
        schedule = schedule.started(now, is_forced=is_forced)
        if is_forced:
            forced.append(now)
        if outcome == "ok":
            schedule = schedule.succeeded(now, 60, chance)
        else:
            failed.append(now)
            schedule = schedule.failed(now, chance)
        assert schedule.next_attempt_at >= now
        assert schedule.trusted_until == max(schedule.fresh_until + 3600, schedule.trusted_until)
    for instants in (failed, forced):
        pairs = itertools.pairwise(instants)
        assert all(later - earlier >= SETTINGS.cooldown for earlier, later in pairs)


@pytest.mark.parametrize(
    ("cache_control", "age", "lifetime"),
    [
        ("", "", 600),
        ("max-age=300", "", 300),
        ("public, MAX-AGE=300, must-revalidate", "", 300),
        ('max-age="300"', "", 300),
        ("max-age=300", "100", 200),
        ("max-age=300", "290", 60),
        ("max-age=300", "nonsense", 300),
        ("max-age=5", "", 60),
        ("max-age=999999999", "", 3600),
        ("max-age=99999999999999999999", "", 600),
        ("max-age=-1", "", 600),
        ("max-age=1e3", "", 600),
        ("max-age=\u0661\u0662", "", 600),
        ("s-maxage=300", "", 600),
        ("no-store, max-age=300", "", 60),
        ("no-cache", "", 60),
        ('no-cache="set-cookie", max-age=900', "", 60),
    ],
)
def test_j5_cache_control_counts_within_bounds(
    cache_control: str, age: str, lifetime: float
) -> None:
    """An issuer can neither cause a fetch each second nor keep a withdrawn key for a day."""
    assert lifetime_of(cache_control, age, SETTINGS) == lifetime


@given(st.text(), st.text())
def test_j5_no_header_breaks_the_bounds(cache_control: str, age: str) -> None:
    """For any text the lifetime is within the settings."""
    found = lifetime_of(cache_control, age, SETTINGS)
    assert SETTINGS.least_lifetime <= found <= SETTINGS.most_lifetime


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RefreshSettings)])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "60", None, 1e9, True])
def test_every_refresh_setting_has_bounds(field: str, value: object) -> None:
    """A wrong number is reported at construction, by name where one setting is wrong."""
    with pytest.raises(ConfigurationError):
        RefreshSettings(**{field: value})


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RemoteLimits)])
@pytest.mark.parametrize("value", [-1, 0, float("nan"), "60", None, 1e9, True])
def test_every_limit_has_bounds(field: str, value: object) -> None:
    """The fault names the limit."""
    with pytest.raises(ConfigurationError, match=field):
        RemoteLimits(**{field: value})


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example",
        "https://id.example/",
        "https://id.example:8443/realms/a?b=c",
        "http://127.0.0.1:8000/jwks",
        "http://localhost/jwks",
        "http://[::1]:80/jwks",
    ],
)
def test_j3_https_and_loopback_are_fetched_from(url: str) -> None:
    """The URLs of real issuers and of tests."""
    assert url_fault(url, "it") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:a9fe:a9fe]/",
        "http://127.0.0.1@evil.example/",
        "https://user:pass@id.example/",
        "https://id.example/#fragment",
        "https://id.example/a b",
        "https://id.example/\r\nHost: evil",
        "https://id.example\\@evil.example/",
        "https://",
        "file:///etc/passwd",
        "ftp://id.example/",
        "//id.example/",
        "https://id.example/" + "a" * 3000,
        "HTTPS://id.example",
        None,
        7,
    ],
)
def test_j3_other_addresses_are_not(url: object) -> None:
    """Other schemes, user names, look-alikes of loopback, a cloud's metadata service."""
    assert url_fault(url, "it") is not None


def test_j4_a_remote_issuer_cannot_send_us_to_loopback() -> None:
    """A jwks_uri on http loopback is used only for an issuer on loopback."""
    remote = KeySetLocation(issuer="https://id.example")
    assert remote.jwks_uri_fault("http://127.0.0.1/jwks") is not None
    assert KeySetLocation(issuer="http://[::1]").jwks_uri_fault("http://127.0.0.1/jwks") is None
