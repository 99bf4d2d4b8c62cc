"""The same shop with linqi: sliding sessions, a sign-out that works, old tokens until a date."""

from typing import Annotated

from accounts import ACCOUNTS, Account, sign_in
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.concurrency import run_in_threadpool

from linqi import Verified
from linqi.fastapi import CurrentUser, load_user, protect, public

app = FastAPI()


def account_of(verified: Verified) -> Account | None:
    """Return the customer of a verified token; None is 401."""
    account = ACCOUNTS.get(verified.identity)
    return None if account is None or account.disabled else account


def may_go_on(verified: Verified) -> bool:
    """Return whether the session gets its next token, an old token its first new one."""
    return account_of(verified) is not None


parts = protect(app, "linqi.toml", authorize=may_go_on, token_url="login")
Customer = Annotated[Account, Depends(load_user(account_of))]


@app.post("/login")
@public
async def login(
    username: Annotated[str, Form()], password: Annotated[str, Form()]
) -> dict[str, str]:
    """Answer a right password with the first token of a session."""
    account = await run_in_threadpool(sign_in, username, password)
    if account is None:
        raise HTTPException(400, "Incorrect username or password")
    issued = parts.renewal.start(account.name, claims={"role": account.role})
    return {"access_token": issued.token, "token_type": "bearer"}


@app.post("/logout", status_code=204)
async def logout(user: CurrentUser) -> None:
    """End the session: every copy of its tokens, the old one included, is refused."""
    await parts.sessions.revoke(user.session_id, user=user.identity)


@app.get("/basket")
def basket(customer: Customer, user: CurrentUser) -> dict[str, str]:
    """Show whose basket it is."""
    return {"customer": customer.name, "role": user.claims["role"]}
