"""互踢与强制下线：同端互踢、查看会话、踢人、改密码、封号。"""

from typing import Annotated

from fastapi import Body, Depends, FastAPI

from linqi import Person, Verified
from linqi.fastapi import CurrentUser, protect, requires

app = FastAPI(title="互踢与强制下线")
accounts = {  # 换成你的数据库，密码要存慢哈希
    "alice": {"password": "correct horse", "scopes": [], "disabled": False},
    "root": {"password": "battery staple", "scopes": ["admin"], "disabled": False},
}


async def authenticate(form):
    """检查密码；同一类设备（device）上的旧会话下线。"""
    name, account = form["username"], accounts.get(form["username"])
    if not account or account["disabled"] or account["password"] != form["password"]:
        return None
    for session in await sessions.sessions(name):
        if session.device == form.get("device"):
            await sessions.revoke(session.session_id, user=name, cause="limit")
    return Person(subject=name, scopes=account["scopes"])


async def authorize(session):
    """每次刷新都问一遍：账号被封就结束会话。"""
    return not accounts[session.subject]["disabled"]


sessions = protect(
    app, "linqi.toml", authenticate=authenticate, authorize_refresh=authorize
).sessions
Admin = Annotated[Verified, Depends(requires("admin"))]


@app.get("/me")
async def me(user: CurrentUser) -> str:
    """返回当前用户。"""
    return user.identity


@app.put("/me/password", status_code=204)
async def change_password(user: CurrentUser, password: Annotated[str, Body(embed=True)]) -> None:
    """改密码：当前会话保留，其他会话全部下线。"""
    accounts[user.identity]["password"] = password
    await sessions.password_changed(user.identity, keep=user.session_id or "")


@app.get("/accounts/{name}/sessions")
async def list_sessions(name: str, admin: Admin) -> list[dict[str, object]]:
    """管理员查看一个用户的会话，包括已经结束的和结束的原因。"""
    page = await sessions.page(name, limit=50, ended=True)
    return [
        {"id": one.session_id, "device": one.device, "cause": one.cause} for one in page.sessions
    ]


@app.delete("/accounts/{name}/sessions/{session_id}", status_code=204)
async def kick(name: str, session_id: str, admin: Admin) -> None:
    """踢掉一个会话。"""
    await sessions.revoke(session_id, user=name)


@app.delete("/accounts/{name}/sessions", status_code=204)
async def kick_all(name: str, admin: Admin) -> None:
    """强制下线：这个用户的会话全部结束。"""
    await sessions.revoke_all(name)


@app.delete("/accounts/{name}", status_code=204)
async def disable(name: str, admin: Admin) -> None:
    """封号：先改数据库，再结束所有会话。"""
    accounts[name]["disabled"] = True
    await sessions.account_disabled(name)
