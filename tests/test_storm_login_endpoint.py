"""The login endpoint of a running deployment, as the clients of a storm use it."""

import json

import pytest

from linqi import ConfigurationError, Key, RenewalSettings, Signer, SlidingRenewal
from linqi_storm.clients.login_endpoint import login_content, read_credential, read_login
from linqi_storm.run.url_target import at_barrier
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.generator_plan import Credential, StormLogin
from linqi_storm.schema.policies import parse_policy

NOW = 1_800_000_000.0
LOGIN = StormLogin(url="http://127.0.0.1:1/login", body={"username": "load-{n}", "password": "p&p"})


def token(lifetime: float = 900, buffer: float = 300) -> str:
    """Return the first token of a new session."""
    signer = Signer(Key.generate("HS256"), issuer="i", audience="a", clock=lambda: NOW)
    settings = RenewalSettings(lifetime=lifetime, buffer=buffer, policy=parse_policy("plain"))
    return SlidingRenewal(signer, settings, clock=lambda: NOW).start("alice").token


def answer(**members: object) -> bytes:
    """Return the body of a token response."""
    return json.dumps({"access_token": token(), **members}).encode()


def test_a_login_is_described_in_full_or_refused_by_name() -> None:
    """An unknown member is named in the error; an empty text is no login."""
    assert read_login("") is None
    found = read_login('{"url": "http://a/login", "refresh_path": "/auth/refresh"}')
    assert found == StormLogin(url="http://a/login", refresh_path="/auth/refresh")
    with pytest.raises(ConfigurationError, match="refresh_url"):
        read_login('{"url": "http://a/login", "refresh_url": "/auth/refresh"}')
    with pytest.raises(ConfigurationError, match="url"):
        read_login("{}")


def test_each_client_has_a_name_of_its_own_in_either_encoding() -> None:
    """Every value contains the number; a form is escaped."""
    content, media_type = login_content(LOGIN, 7, {})
    assert json.loads(content) == {"username": "load-7", "password": "p&p"}
    assert media_type == "application/json"
    form = StormLogin(url=LOGIN.url, body=LOGIN.body, encoding="form")
    assert login_content(form, 8, {}) == (
        b"username=load-8&password=p%26p",
        "application/x-www-form-urlencoded",
    )


def test_optional_members_of_a_token_response_are_used() -> None:
    """The members that linqi adds are used; without them the client's own values are kept."""
    full = read_credential(
        answer(refresh_token="r1", refresh_token_timeout=60, sequence=4), 10.0, "access_token"
    )
    assert (full.refresh_token, full.refresh_expires_at, full.sequence) == ("r1", 70.0, 4)
    assert full.expires_at == NOW + 900
    empty = dict.fromkeys(("refresh_token", "refresh_token_timeout", "sequence"))
    for body in (answer(), answer(**empty)):
        plain = read_credential(body, 10.0, "access_token", sequence=2, refresh_token="r0")
        assert (plain.refresh_token, plain.sequence) == ("r0", 2)
        assert plain.refresh_expires_at > 1e8


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"access_token": "opaque"}', answer(sequence="first")],
)
def test_a_response_without_a_readable_token_is_refused(body: bytes) -> None:
    """Every fault raises `ValueError`."""
    with pytest.raises(ValueError, match=r".+"):
        read_credential(body, 0.0, "access_token")


def held(count: int, **changes: object) -> list[Credential]:
    """Return the tokens of `count` logins."""
    made: dict[str, object] = {"token": token(), "expires_at": NOW + 900, "refresh_token": "r"}
    return [Credential(**(made | changes)) for _ in range(count)]  # type: ignore[arg-type]


def test_clients_of_a_rush_treat_their_tokens_as_expired() -> None:
    """The rush also works if the clock of the deployment differs."""
    kind = find_scenario("storm-dual")
    sizes = {"sessions": 20, "compression": 1.0, "lifetime": 900, "buffer": 300, "gap": 40}
    scenario = kind(kind.resized(**sizes))
    clients = at_barrier(held(20), scenario, NOW)
    assert {each.expires_at for each in clients} == {NOW - 1}


def test_tokens_with_another_lifetime_end_the_storm_before_it_begins() -> None:
    """Another lifetime, or no refresh token, would appear as forced logouts."""
    kinds = {name: find_scenario(name) for name in ("storm-sliding", "storm-dual")}
    sizes = {"sessions": 3, "compression": 1.0, "lifetime": 900, "buffer": 300, "gap": 40}
    sliding, dual = (kind(kind.resized(**sizes)) for kind in kinds.values())
    assert len(at_barrier(held(3), sliding, NOW)) == 3
    with pytest.raises(ConfigurationError, match="lifetime of 60 s, expected 900 s"):
        at_barrier(held(3, token=token(60, 20)), sliding, NOW)
    with pytest.raises(ConfigurationError, match="response has none"):
        at_barrier(held(3, refresh_token=""), dual, NOW)
