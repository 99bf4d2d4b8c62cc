"""双 token：linqi 校验短期 token，刷新令牌存在 Valkey 并且每次轮换；吊销靠推送。"""

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from linqi import JWTMiddleware, Key, RenewalSettings, Sessions, Signer, ValkeyStore, Verifier
from linqi.errors import RefreshRefused

SECRET = os.environ["SECRET"].encode()
signer = Signer(Key.from_secret(SECRET), issuer="https://shop.example", audience="shop")
settings = RenewalSettings(
    lifetime=float(os.environ["LIFETIME"]), buffer=float(os.environ["BUFFER"])
)
store = ValkeyStore(os.environ["REDIS_URL"])
sessions = Sessions(store, signer, Key.from_secret(SECRET[::-1]), access=settings)
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)

app = FastAPI()
app.add_middleware(
    JWTMiddleware, verifier=verifier, public=["/login", "/refresh"], services=[sessions]
)


def answer(pair: Any) -> dict[str, Any]:
    """返回给客户端的一对 token。"""
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "refresh_in": pair.refresh_in,
    }


@app.post("/login")
async def login(user: str) -> dict[str, Any]:
    """登录；这里本该检查密码。"""
    return answer(await sessions.sign_in(user))


@app.post("/refresh")
async def refresh(token: str) -> dict[str, Any]:
    """用刷新令牌换一对新 token。"""
    try:
        return answer(await sessions.refresh(token))
    except RefreshRefused:
        raise HTTPException(400) from None


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    """返回当前用户。"""
    return {"user": request.user.identity}


@app.post("/kick")
async def kick(request: Request) -> None:
    """强制下线：结束当前会话。"""
    await sessions.revoke(request.user.session_id)
