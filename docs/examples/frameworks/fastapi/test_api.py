"""Tests with a fake issuer in the place of the outside one: no network, no container."""

import pytest
from api import app
from fastapi.testclient import TestClient


@pytest.fixture
def client(linqi_issuer):
    """Let the application fetch the keys of the fake issuer."""
    linqi_issuer.attach(app)
    with TestClient(app) as client:
        yield client


def test_a_token_of_the_issuer_is_accepted(client, signed_in):
    """The token is signed by the fake issuer, and verified as in production."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert alice.get("/me").json() == "alice"
    assert alice.get("/orders").status_code == 200


def test_the_keys_of_the_issuer_may_change(client, signed_in, linqi_issuer):
    """A new key is fetched when its first token comes."""
    linqi_issuer.rotate()
    assert signed_in(client, "alice").get("/me").status_code == 200


def test_a_stranger_is_refused(client):
    """Without a token there is a challenge."""
    assert client.get("/me").status_code == 401
