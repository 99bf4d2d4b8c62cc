"""A Python service that signs in once and then sends requests with a fresh access token."""

import httpx2

from linqi.client.httpx2 import RefreshingAuth  # or linqi.client.httpx for httpx
from linqi.client.tokens import FileStorage, tokens_of


def client_of(server: str, username: str, password: str) -> httpx2.Client:
    """Sign in; return a client whose requests carry a fresh access token."""
    fields = {"username": username, "password": password}
    response = httpx2.post(f"{server}/login", json=fields).raise_for_status()
    auth = RefreshingAuth(
        f"{server}/refresh",
        tokens_of(response.json(), None),
        storage=FileStorage("tokens.json"),  # the next start may load the tokens from here
    )
    return httpx2.Client(base_url=server, auth=auth)
