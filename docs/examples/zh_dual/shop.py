"""双 token 的 FastAPI：登录、刷新、退出都由 linqi 提供。"""

from fastapi import FastAPI

from linqi import Person
from linqi.fastapi import CurrentUser, protect

app = FastAPI()
people = {"alice": "correct horse"}  # 换成你的数据库，密码要存慢哈希


def authenticate(form):
    """检查用户名和密码。"""
    is_right = people.get(form["username"]) == form["password"]
    return Person(subject=form["username"]) if is_right else None


protect(app, "linqi.toml", authenticate=authenticate)


@app.get("/me")
async def me(user: CurrentUser) -> str:
    """返回当前用户。"""
    return user.identity
