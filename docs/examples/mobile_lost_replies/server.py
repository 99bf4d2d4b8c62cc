"""The back end of a mobile app: dual tokens on SQLite."""

import hmac
from collections.abc import Mapping

from fastapi import FastAPI

from linqi import Person
from linqi.fastapi import CurrentUser, protect

PASSWORD = "correct horse"  # of every demo user; yours are slow hashes in a table

app = FastAPI()


def authenticate(form: Mapping[str, str]) -> Person | None:
    """Check a sign-in; None refuses it."""
    is_right = hmac.compare_digest(form["password"].encode(), PASSWORD.encode())
    return Person(subject=form["username"]) if is_right else None


protect(app, "linqi.toml", authenticate=authenticate)


@app.get("/feed")
async def feed(user: CurrentUser) -> dict[str, str]:
    """Return what the app shows first."""
    return {"hello": user.identity}
