"""FastAPI：用户一直在用就一直在线，每个 token 只有几分钟有效。"""

from fastapi import FastAPI

from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()
parts = protect(app, "linqi.toml")  # 所有路由都要 token，除了 @public


@app.post("/login")
@public
async def login():
    """在这里检查密码，然后开始会话。"""
    return {"access_token": parts.renewal.start("alice").token}


@app.get("/me")
async def me(user: CurrentUser):
    """返回当前用户。"""
    return {"user": user.identity}
