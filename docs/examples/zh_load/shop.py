"""压测用的 FastAPI：临期滑动，一个要登录的页面。"""

import asyncio

from fastapi import FastAPI

from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()
parts = protect(app, "linqi.toml")


@app.post("/login")
@public
async def login() -> dict[str, str]:
    """登录；这里本该检查密码。"""
    return {"access_token": parts.renewal.start("alice").token}


@app.get("/cart")
async def cart(user: CurrentUser) -> dict[str, object]:
    """返回购物车；5 ms 代表一次数据库查询。"""
    await asyncio.sleep(0.005)
    return {"user": user.identity, "items": ["茶", "墨"]}
