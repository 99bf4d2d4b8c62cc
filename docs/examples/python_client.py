"""A Python service that stays signed in: one login, then requests for as long as it lasts."""

import httpx2

from linqi.client.httpx2 import RefreshingAuth  # or linqi.client.httpx for httpx
from linqi.client.tokens import FileStorage, tokens_of


def client_of(server: str, username: str, password: str) -> httpx2.Client:
    """Sign in, and give a client whose requests carry a fresh token."""
    person = {"username": username, "password": password}
    answer = httpx2.post(f"{server}/login", json=person).raise_for_status()
    auth = RefreshingAuth(
        f"{server}/refresh",
        tokens_of(answer.json(), None),
        storage=FileStorage("tokens.json"),  # without tokens, the next start goes on from here
    )
    return httpx2.Client(base_url=server, auth=auth)
