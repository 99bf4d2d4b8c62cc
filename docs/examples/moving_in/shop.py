"""A shop whose clients hold hand-written tokens, behind linqi."""

from fastapi import FastAPI

from linqi import Verified
from linqi.fastapi import CurrentUser, protect, public

SCOPES = {"johndoe": ["orders:read"]}  # your user table: who is not in it was disabled

app = FastAPI()


async def authorize_move(old: Verified):
    """Decide whether the user of an old token may go on, and with which scopes."""
    if old.subject not in SCOPES:
        return False
    return {"scope": " ".join(SCOPES[old.subject])}


parts = protect(app, "linqi.toml", authorize_move=authorize_move)


@app.post("/login")
@public
async def login(username: str):
    """Sign a user in: your check of the password, and then `start` instead of `jwt.encode`."""
    issued = parts.renewal.start(username, scopes=SCOPES[username])
    return {"access_token": issued.token, "token_type": "bearer"}


@app.get("/users/me")
async def me(user: CurrentUser):
    """Return who the user is, with an old token as with a new one."""
    return {"username": user.subject, "scopes": user.scopes}
