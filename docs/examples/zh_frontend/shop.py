"""前端无感刷新的后端：双 token，refresh token 放在 HttpOnly cookie 里，同时提供 linqi.js。"""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from linqi import Person
from linqi.browser import FOLDER
from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()


def authenticate(form):
    """检查用户名和密码；换成你的数据库。"""
    is_right = (form["username"], form["password"]) == ("alice", "correct horse")
    return Person(subject="alice") if is_right else None


protect(app, "linqi.toml", authenticate=authenticate)
app.mount("/js", public(StaticFiles(directory=FOLDER)))  # linqi.js 随 Python 包安装
app.mount("/static", public(StaticFiles(directory="static")))


@app.get("/")
@public
async def page() -> HTMLResponse:
    """返回页面，脚本在 /static 下面。"""
    return HTMLResponse(
        '<meta charset="utf-8"><script type="module" src="/static/page.js"></script>'
    )


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """返回当前用户。"""
    return {"user": user.identity}
