"""The shop as it was: PyJWT by hand, HS256, a token of 24 hours, no session."""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from accounts import ACCOUNTS, Account, sign_in
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.security import OAuth2PasswordBearer

SECRET_KEY = os.environ["SECRET_KEY"]
ACCESS_TOKEN_EXPIRE_HOURS = 24

app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="login")


def get_current_user(token: Annotated[str, Depends(bearer)]) -> Account:
    """Decode the token; it names the customer."""
    try:
        claims = jwt.decode(token, SECRET_KEY, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Could not validate credentials") from error
    account = ACCOUNTS.get(claims["sub"])
    if account is None or account.disabled:
        raise HTTPException(401, "Could not validate credentials")
    return account


@app.post("/login")
def login(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, str]:
    """Answer a right password with a token."""
    account = sign_in(username, password)
    if account is None:
        raise HTTPException(400, "Incorrect username or password")
    now = datetime.now(UTC)
    ends = now + timedelta(hours=ACCESS_TOKEN_EXPIRE_HOURS)
    claims = {"sub": account.name, "role": account.role, "iat": now, "exp": ends}
    token = jwt.encode(claims, SECRET_KEY, algorithm="HS256")
    return {"access_token": token, "token_type": "bearer"}


@app.post("/logout", status_code=204)
def logout(user: Annotated[Account, Depends(get_current_user)]) -> None:
    """Do nothing: the page forgets its token, and every copy goes on working."""


@app.get("/basket")
def basket(user: Annotated[Account, Depends(get_current_user)]) -> dict[str, str]:
    """Show whose basket it is."""
    return {"customer": user.name, "role": user.role}
