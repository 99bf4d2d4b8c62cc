"""临期滑动：linqi 校验 token，临期的请求在响应头里拿到新 token；吊销靠推送，不逐个请求查。"""

import os
from typing import Any

from fastapi import FastAPI, Request

from linqi import (
    JWTMiddleware,
    Key,
    RenewalSettings,
    Sessions,
    Signer,
    SlidingRenewal,
    ValkeyStore,
    Verifier,
)

SECRET = os.environ["SECRET"].encode()
signer = Signer(Key.from_secret(SECRET), issuer="https://shop.example", audience="shop")
settings = RenewalSettings(
    lifetime=float(os.environ["LIFETIME"]), buffer=float(os.environ["BUFFER"])
)
store = ValkeyStore(os.environ["REDIS_URL"])
sessions = Sessions(store, signer, Key.from_secret(SECRET[::-1]), access=settings)
is_revoked = sessions.revocations.is_revoked
verifier = Verifier.trusting(signer, is_revoked=is_revoked)
renewal = SlidingRenewal(signer, settings, is_revoked=is_revoked, on_issue=verifier.cache_issued)

app = FastAPI()
app.add_middleware(
    JWTMiddleware, verifier=verifier, renewal=renewal, public=["/login"], services=[sessions]
)


@app.post("/login")
async def login(user: str) -> dict[str, Any]:
    """登录；这里本该检查密码。"""
    return {"access_token": renewal.start(user).token}


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    """返回当前用户。"""
    return {"user": request.user.identity}


@app.post("/kick")
async def kick(request: Request) -> None:
    """强制下线：结束当前会话。"""
    await sessions.revoke(request.user.session_id)
