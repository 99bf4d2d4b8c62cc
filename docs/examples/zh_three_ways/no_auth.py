"""对照：同一个路由，不做任何校验。"""

from typing import Any

from fastapi import FastAPI

app = FastAPI()


@app.post("/login")
async def login(user: str) -> dict[str, Any]:
    """登录。"""
    return {"access_token": user}


@app.get("/me")
async def me() -> dict[str, str]:
    """返回一个用户。"""
    return {"user": "alice"}
