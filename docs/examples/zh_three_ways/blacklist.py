"""黑名单：PyJWT 手写校验，每个请求查一次 Redis；RENEW=1 时临期换新，并把旧 token 拉黑。"""

import os
import secrets
import time
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from redis.asyncio import Redis

SECRET = os.environ["SECRET"]
LIFETIME, BUFFER = float(os.environ["LIFETIME"]), float(os.environ["BUFFER"])
RENEW = os.environ.get("RENEW") == "1"
CHECK = os.environ.get("CHECK") != "0"  # 0：不查黑名单，只为看出查询的开销

app = FastAPI()
redis = Redis.from_url(os.environ["REDIS_URL"])


def issue(user: str) -> str:
    """签发一个 token。"""
    now = int(time.time())
    claims = {"sub": user, "jti": secrets.token_hex(8), "iat": now, "exp": now + int(LIFETIME)}
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def block(claims: dict[str, Any]) -> bool:
    """拉黑一个 token，直到它过期；返回是不是第一个拉黑它的。"""
    left = max(1, claims["exp"] - int(time.time()))
    return bool(await redis.set(f"blacklist:{claims['jti']}", 1, ex=left, nx=True))


async def current(response: Response, authorization: Annotated[str, Header()] = "") -> dict:
    """校验签名和过期时间，再查黑名单。"""
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    if CHECK and await redis.exists(f"blacklist:{claims['jti']}"):
        raise HTTPException(401)
    if RENEW and claims["exp"] - time.time() < BUFFER and await block(claims):
        response.headers["X-Refresh-Token"] = issue(claims["sub"])
    return claims


Caller = Annotated[dict, Depends(current)]


@app.post("/login")
async def login(user: str) -> dict[str, Any]:
    """登录；这里本该检查密码。"""
    return {"access_token": issue(user)}


@app.get("/me")
async def me(caller: Caller) -> dict[str, str]:
    """返回当前用户。"""
    return {"user": caller["sub"]}


@app.post("/kick")
async def kick(caller: Caller) -> None:
    """强制下线：拉黑当前 token。"""
    await block(caller)
