"""The whole story in one command: sign-ins, refusals, a rotation, an outage of ten minutes.

``keycloak.py`` runs as a process of its own, and the API on a socket of this one, so that its
clock can be moved by ten minutes.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx2
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linqi.testing import moved_time

HERE = Path(__file__).parent
PUBLIC_URL = "http://localhost:8080"  # in `iss`; the API never connects to it
REALM = "/realms/shop"
PATIENCE = 60  # seconds for an answer, as other programs may keep the machine busy


def free_port():
    """Return a port that no program listens on, below those that systems give to connections."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def told(is_so, what):
    """Print what is so, or end because it is not."""
    if not is_so:
        sys.exit(f"NOT AS TOLD: {what}")
    print(f"  {what}")


def part(token, number):
    """Return the header (0) or the claims (1) of a token, without verification."""
    text = token.split(".")[number]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Keycloak:
    """The provider as a process, with its keys in a folder, as Keycloak has a database."""

    def __init__(self, folder):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.folder = folder

    def start(self):
        """Start it, and wait until it answers."""
        port = self.url.rpartition(":")[2]
        run = [sys.executable, str(HERE / "keycloak.py"), port, PUBLIC_URL, str(self.folder)]
        self.process = subprocess.Popen(run)
        metadata = f"{self.url}{REALM}/.well-known/openid-configuration"
        for _ in range(2400):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(httpx2.TransportError):
                return httpx2.get(metadata, timeout=PATIENCE).json()
            time.sleep(0.05)
        self.stop()
        return sys.exit("keycloak.py did not start")

    def stop(self):
        """End it."""
        self.process.kill()
        self.process.wait()

    def tokens(self, **form):
        """Return the answer of the token endpoint."""
        url = f"{self.url}{REALM}/protocol/openid-connect/token"
        answer = httpx2.post(url, data=form, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def alice(self, client):
        """Return what Alice gets when she signs in to an application of the company."""
        return self.tokens(
            grant_type="password", client_id=client, username="alice", password="replace-me-alice"
        )

    def keys(self):
        """Return its private keys by their ids, as no one outside has them; for tests."""
        files = sorted(self.folder.glob("key-*.pem"))
        return {file.stem: load_pem_private_key(file.read_bytes(), None) for file in files}

    def rotate(self):
        """Add a key that signs from now on, as an administrator does."""
        provider = "org.keycloak.keys.KeyProvider"
        key = {"name": "next", "providerId": "rsa-generated", "providerType": provider}
        key["config"] = {"priority": ["200"], "algorithm": ["RS256"]}
        added = httpx2.post(f"{self.url}/admin{REALM}/components", json=key, timeout=PATIENCE)
        added.raise_for_status()


@contextlib.contextmanager
def api(folder, keycloak):
    """Serve app.py with the address of this Keycloak; yield a client of it."""
    settings = (HERE / "linqi.toml").read_text("utf-8")
    settings = settings.replace("http://keycloak:8080", keycloak.url)
    settings += f"\n[jwks_limits]\ntimeout_seconds = {PATIENCE}\n"  # instead of 5
    folder.joinpath("linqi.toml").write_text(settings, "utf-8")
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(HERE))
    try:
        from app import app
    finally:
        os.chdir(before)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                sys.exit(f"the API does not listen on port {port}")
            time.sleep(0.02)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def story(keycloak, client, clock):
    """Play the story."""

    def get(token):
        return client.get("/orders", headers={"Authorization": f"Bearer {token}"})

    def post(token):
        bearer = {"Authorization": f"Bearer {token}"}
        return client.post("/orders", params={"item": "pen"}, headers=bearer)

    def refusal(answer):
        return f"{answer.status_code} {answer.headers.get('www-authenticate', '')}"

    print("1. Alice signs in to the web shop, which may name the API in aud")
    alice = keycloak.alice("orders-web")
    token = alice["access_token"]
    claims = part(token, 1)
    print(f"  iss {claims['iss']}, aud {claims['aud']}, roles {claims['realm_access']['roles']}")
    answer = get(token)
    told(answer.status_code == 200, f"GET /orders: 200 {answer.text}")
    answer = post(token)
    told(answer.status_code == 403, f"POST /orders: {refusal(answer)}")

    print("2. A service calls as itself, by client credentials")
    secret = "replace-me-billing"
    billing = keycloak.tokens(
        grant_type="client_credentials", client_id="billing", client_secret=secret
    )["access_token"]
    told(post(billing).status_code == 201, f"POST /orders by {get(billing).json()['for']}: 201")

    print("3. What must not count")
    other = keycloak.alice("newsletter")["access_token"]
    answer = get(other)
    told(answer.status_code == 401, f"a token of the newsletter, aud {part(other, 1)['aud']}: 401")
    told(get(alice["id_token"]).status_code == 401, "Alice's ID token: 401")
    told(get(alice["refresh_token"]).status_code == 401, "Alice's refresh token: 401")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(claims, key, "RS256", {"kid": part(token, 0)["kid"]})
    told(get(forged).status_code == 401, "the same claims and key id, signed by another key: 401")

    print("4. Keycloak rotates its key")
    keycloak.rotate()
    clock.advance(60)
    newer = keycloak.alice("orders-web")["access_token"]
    told(part(newer, 0)["kid"] != part(token, 0)["kid"], "new tokens have another key id")
    told(get(newer).status_code == 200, "a token of the new key: 200, at its first request")
    told(get(token).status_code == 200, "a token of the earlier key: 200")

    print("5. Keycloak is down for ten minutes")
    keycloak.stop()
    seen = []
    for _ in range(10):
        clock.advance(60)
        seen.append(get(newer).status_code)
    told(seen == [200] * 10, f"a request each minute: {seen}")
    stranger = jwt.encode(claims, key, "RS256", {"kid": "unknown-key"})
    answer = get(stranger)
    told(answer.status_code in (401, 503), f"an unknown key id meanwhile: {refusal(answer)}")
    keycloak.start()
    clock.advance(60)
    answer = get(keycloak.alice("orders-web")["access_token"])
    told(answer.status_code == 200, "Keycloak is back; Alice signs in again: 200")


def main():
    """Play the story; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the servers, too
    with tempfile.TemporaryDirectory() as name, moved_time() as clock:
        data = Path(name, "keycloak")
        data.mkdir()
        keycloak = Keycloak(data)
        try:
            keycloak.start()
            with api(Path(name), keycloak) as client:
                story(keycloak, client, clock)
        finally:
            keycloak.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
