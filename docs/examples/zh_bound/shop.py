"""可吊销滑动：客户端只换响应头里的 token，服务端随时可以结束会话。"""

from fastapi import FastAPI

from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()
parts = protect(app, "linqi.toml")


@app.post("/login")
@public
async def login():
    """在这里检查密码，然后开始会话。"""
    return {"access_token": parts.renewal.start("alice").token}


@app.post("/logout", status_code=204)
async def logout(user: CurrentUser):
    """退出登录：从现在起，所有进程都拒绝这个会话的 token。"""
    await parts.sessions.revoke(user.session_id, cause="logout")


@app.get("/me")
async def me(user: CurrentUser):
    """返回当前用户。"""
    return {"user": user.identity}
