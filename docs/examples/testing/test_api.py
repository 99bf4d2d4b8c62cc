"""Tests of the API, with an issuer in this process."""

import pytest
from api import app
from starlette.testclient import TestClient


@pytest.fixture
def client(linqi_issuer):
    """Return a client of the running API; its issuer is `linqi_issuer`."""
    linqi_issuer.attach(app)
    with TestClient(app) as client:
        yield client


def test_a_user_of_the_issuer(client, signed_in):
    """The issuer signs; the API finds its keys by discovery."""
    assert signed_in(client, "alice").get("/me").text == "alice"


def test_a_token_for_another_api_is_refused(client, signed_in):
    """The audience is checked as in production."""
    assert signed_in(client, "alice", claims={"aud": "other"}).get("/me").status_code == 401


def test_the_issuer_rotates_its_key(client, signed_in, linqi_issuer):
    """A token of the new key causes one fetch."""
    assert signed_in(client, "alice").get("/me").status_code == 200
    linqi_issuer.rotate()
    assert signed_in(client, "bob").get("/me").status_code == 200
    assert linqi_issuer.requests["keys"] == 2


def test_the_issuer_is_down(client, signed_in, linqi_issuer, linqi_clock):
    """Known keys serve for an hour; a new key is unknown; then the answer is 503."""
    alice = signed_in(client, "alice", claims={"exp": linqi_clock() + 86_400})
    linqi_issuer.down()
    assert alice.get("/me").status_code == 200
    linqi_clock.advance(2_000)
    assert alice.get("/me").status_code == 200
    linqi_issuer.rotate()
    assert signed_in(client, "bob").get("/me").status_code == 401
    linqi_clock.advance(7_200)
    assert alice.get("/me").status_code == 503
