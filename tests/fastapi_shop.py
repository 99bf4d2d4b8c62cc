"""FastAPI applications for tests, protected as their users protect them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import httpx2
from fastapi import FastAPI

from linqi import Person
from linqi.config import Components, build, read

ORIGIN = "http://shop.test"
SCOPES = {"alice": ["orders:read"], "root": ["orders:read", "orders:write"]}


def _secret(kid: str) -> str:
    """Return a JWKS with one secret."""
    secret = base64.urlsafe_b64encode(hashlib.sha256(kid.encode()).digest()).rstrip(b"=")
    key = {"kty": "oct", "k": secret.decode(), "alg": "HS256", "kid": kid}
    return json.dumps({"keys": [key]})


_VARIABLES = {"KEYS": _secret("keys"), "REFRESH": _secret("refresh")}


def components(raw: Mapping[str, Any] | None = None, **options: Any) -> Components:
    """Return the parts of a service with sessions in memory; `raw` changes whole tables."""
    tables: dict[str, Any] = {
        "verify": {"issuer": "https://shop.example", "audience": "shop"},
        "keys": {"env": "KEYS"},
        "store": {"url": "memory:", "secrets_env": "REFRESH"},
        "renewal": {"lifetime_seconds": 900, "buffer_seconds": 300},
    }
    config = read(tables | dict(raw or {}))
    return build(config, environ=_VARIABLES, **options)


def check_password(form: Mapping[str, str]) -> Person | None:
    """Sign in everyone whose password is ``right``."""
    if form["password"] != "right":
        return None
    return Person(subject=form["username"], scopes=SCOPES.get(form["username"], ()))


def client_of(app: Any, **more: Any) -> httpx2.AsyncClient:
    """Return a client that calls `app` in this process."""
    transport = httpx2.ASGITransport(app=app, **more)
    return httpx2.AsyncClient(transport=transport, base_url=ORIGIN)


async def bearer(app: FastAPI, name: str = "alice") -> dict[str, str]:
    """Sign in at `app`, and return the header of the token."""
    async with client_of(app) as client:
        form = {"grant_type": "password", "username": name, "password": "right"}
        answer = await client.post("/login", data=form)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}
