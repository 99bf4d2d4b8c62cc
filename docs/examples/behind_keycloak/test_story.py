"""What the API behind Keycloak accepts, and what it refuses, while Keycloak is up and down."""

import sys
from base64 import b64encode
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linqi.testing import moved_time

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import run  # noqa: E402

FORGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Start the provider and the API; yield both, with the clock of the API."""
    folder = tmp_path_factory.mktemp("world")
    data = folder / "keycloak"
    data.mkdir()
    keycloak = run.Keycloak(data)
    with moved_time() as clock:
        keycloak.start()
        try:
            with run.api(folder, keycloak) as client:
                yield keycloak, client, clock
        finally:
            keycloak.stop()


def get(client, token):
    """Return the answer to a request with a token."""
    return client.get("/orders", headers={"Authorization": f"Bearer {token}"})


def test_a_realm_role_is_a_scope(world):
    """Alice has orders:read, and not orders:write."""
    keycloak, client, _ = world
    bearer = {"Authorization": f"Bearer {keycloak.alice('orders-web')['access_token']}"}
    assert client.get("/orders", headers=bearer).json()["for"] == "alice"
    refused = client.post("/orders", params={"item": "pen"}, headers=bearer)
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="orders:write"' in refused.headers["www-authenticate"]


def test_a_token_of_a_client_without_the_audience_mapper_is_refused(world):
    """Every token of the realm has the audience account; it says nothing about this API."""
    keycloak, client, _ = world
    token = keycloak.alice("newsletter")["access_token"]
    assert run.part(token, 1)["aud"] == "account"
    assert get(client, token).status_code == 401


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
def test_no_other_token_of_a_sign_in_is_accepted(world, kind):
    """An ID token proves a sign-in to a client; a refresh token is for Keycloak alone."""
    keycloak, client, _ = world
    assert get(client, keycloak.alice("orders-web")[kind]).status_code == 401


def test_an_id_token_with_the_audience_of_the_api_is_refused(world):
    """A mapper that is set for ID tokens too opens nothing: typ must be Bearer."""
    keycloak, client, _ = world
    claims = run.part(keycloak.alice("orders-web")["access_token"], 1)
    kid, key = list(keycloak.keys().items())[-1]
    assert get(client, jwt.encode(claims, key, "RS256", {"kid": kid})).status_code == 200
    forged = jwt.encode(claims | {"typ": "ID"}, key, "RS256", {"kid": kid})
    assert get(client, forged).status_code == 401


def test_forged_tokens_are_refused(world):
    """Another key under the same id, no signature, the public key of the console as a secret."""
    keycloak, client, _ = world
    token = keycloak.alice("orders-web")["access_token"]
    claims, header = run.part(token, 1), {"kid": run.part(token, 0)["kid"]}
    assert get(client, jwt.encode(claims, FORGER, "RS256", header)).status_code == 401
    assert get(client, jwt.encode(claims, None, "none", header)).status_code == 401
    key = list(keycloak.keys().values())[-1].public_key()
    shown = b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert get(client, jwt.encode(claims, shown, "HS256", header)).status_code == 401


def test_another_realm_of_the_same_keycloak_is_not_trusted(world):
    """Each realm is an issuer of its own."""
    keycloak, client, _ = world
    claims = run.part(keycloak.alice("orders-web")["access_token"], 1)
    kid, key = list(keycloak.keys().items())[-1]
    claims["iss"] = claims["iss"].replace("/shop", "/playground")
    assert get(client, jwt.encode(claims, key, "RS256", {"kid": kid})).status_code == 401


def test_a_rotated_key_counts_at_its_first_token(world):
    """Nothing is restarted, and tokens of the earlier key go on."""
    keycloak, client, clock = world
    before = keycloak.alice("orders-web")["access_token"]
    assert get(client, before).status_code == 200
    keycloak.rotate()
    clock.advance(60)
    after = keycloak.alice("orders-web")["access_token"]
    assert run.part(after, 0)["kid"] != run.part(before, 0)["kid"]
    assert [get(client, token).status_code for token in (after, before)] == [200, 200]


def test_an_outage_of_ten_minutes_signs_no_one_out(world):
    """Known keys go on; nothing is forged meanwhile, and nothing answers 500."""
    keycloak, client, clock = world
    token = keycloak.alice("orders-web")["access_token"]
    assert get(client, token).status_code == 200
    keycloak.stop()
    try:
        for _ in range(10):
            clock.advance(60)
            assert get(client, token).status_code == 200
        claims = run.part(token, 1)
        forged = jwt.encode(claims, FORGER, "RS256", {"kid": "of-nobody"})
        assert get(client, forged).status_code in (401, 503)
    finally:
        keycloak.start()
    clock.advance(60)
    assert get(client, keycloak.alice("orders-web")["access_token"]).status_code == 200


def test_after_hours_of_outage_the_answer_is_503_and_says_when_to_retry(world):
    """A key that could not be checked for over an hour is trusted no longer."""
    keycloak, client, clock = world
    assert get(client, keycloak.alice("orders-web")["access_token"]).status_code == 200
    kid, key = list(keycloak.keys().items())[-1]
    claims = run.part(keycloak.alice("orders-web")["access_token"], 1)
    token = jwt.encode(claims | {"exp": int(clock()) + 86_400}, key, "RS256", {"kid": kid})
    keycloak.stop()
    try:
        clock.advance(3 * 3600)
        answer = get(client, token)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    finally:
        keycloak.start()
