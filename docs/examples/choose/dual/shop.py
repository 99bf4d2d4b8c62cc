"""Dual tokens: /login, /refresh and /logout are served in front of the application."""

import hmac

from fastapi import FastAPI

from linqi import Person
from linqi.fastapi import CurrentUser, protect


def authenticate(form):
    """Check a name and a password here, with a slow hash; None refuses the sign-in."""
    is_right = hmac.compare_digest(form["password"].encode(), b"correct horse")
    return Person(subject="alice") if is_right and form["username"] == "alice" else None


app = FastAPI()
protect(app, "linqi.toml", authenticate=authenticate)


@app.get("/me")
async def me(user: CurrentUser):
    """Say who called."""
    return {"user": user.identity}
