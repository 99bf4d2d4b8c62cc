"""The examples of the Chinese pages, as their readers run them."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from chrome import Watch, browsing, run
from example_files import ROOT, copied, imported
from linqi.cli import main
from linqi.testing.process_clock import ProcessClock
from linqi_report.processes import running

PEOPLE = {"alice": "correct horse", "root": "battery staple"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a function that imports `shop.py` of an example in a folder of its own."""

    def load(name: str) -> ModuleType:
        folder = copied(name, tmp_path / name)
        monkeypatch.chdir(folder)
        return imported(folder / "shop.py")

    return load


def sign_in(client: TestClient, name: str, device: str) -> dict[str, str]:
    """Sign in on a device, and return the headers and the refresh token."""
    form = {"username": name, "password": PEOPLE[name], "device": device}
    pair = client.post("/login", json=form).raise_for_status().json()
    return {"Authorization": f"Bearer {pair['access_token']}", "token": pair["refresh_token"]}


def status(client: TestClient, caller: dict[str, str]) -> int:
    """Return the status of a request of `caller`."""
    headers = {"Authorization": caller["Authorization"]}
    return int(client.get("/me", headers=headers).status_code)


@pytest.mark.parametrize(
    "page", ["docs/zh/redis.md", "docs/guides/several_machines.md", "docs/guides/stores.md"]
)
def test_settings_of_stores_have_comments_on_lines_of_their_own(page: str) -> None:
    """Valkey does not start with a comment behind a setting; PgBouncer takes it for the value."""
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    settings = "".join(block for language, block in blocks if not language)
    assert re.findall(r"^[^#\n].*#.*$", settings, re.M) == []


def test_the_first_lines_renew_near_expiry(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shop: Callable[[str], ModuleType],
    linqi_clock: ProcessClock,
) -> None:
    """With the `linqi.toml` of `linqi init`: sign-in, and a successor near expiry."""
    copied("zh_start", tmp_path / "zh_start")
    monkeypatch.chdir(tmp_path / "zh_start")
    assert main(["init"]) == 0
    with TestClient(shop("zh_start").app) as client:
        assert client.get("/me").status_code == 401
        token = client.post("/login").json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/me", headers=headers).json() == {"user": "alice"}
        linqi_clock.advance(850)
        successor = client.get("/me", headers=headers).headers["X-Refresh-Token"]
        linqi_clock.advance(100)
        assert client.get("/me", headers=headers).status_code == 401
        headers = {"Authorization": f"Bearer {successor}"}
        assert client.get("/me", headers=headers).status_code == 200


def test_a_few_lines_have_sign_in_refresh_and_sign_out(shop: Callable[[str], ModuleType]) -> None:
    """Each works, and a wrong password does not."""
    with TestClient(shop("zh_dual").app) as client:
        alice = sign_in(client, "alice", "pc")
        assert status(client, alice) == 200
        pair = client.post("/refresh", json={"refresh_token": alice["token"]}).json()
        out = client.post("/logout", json={"refresh_token": pair["refresh_token"]})
        assert out.status_code == 204
        assert status(client, alice) == 401
        wrong = client.post("/login", json={"username": "alice", "password": "x"})
        assert wrong.status_code == 400


def test_a_sign_out_ends_a_sliding_session_that_has_a_store(
    shop: Callable[[str], ModuleType],
) -> None:
    """The token is refused at once, and that of another session is not."""
    with TestClient(shop("zh_bound").app) as client:
        tokens = [client.post("/login").json()["access_token"] for _ in range(2)]
        old, other = ({"Authorization": f"Bearer {token}"} for token in tokens)
        assert status(client, old) == 200
        assert client.post("/logout", headers=old).status_code == 204
        assert [status(client, each) for each in (old, other)] == [401, 200]


def test_the_application_of_the_load_test_answers(shop: Callable[[str], ModuleType]) -> None:
    """The page that `linqi storm --path /cart` requests needs a token, and answers with one."""
    with TestClient(shop("zh_load").app) as client:
        assert client.get("/cart").status_code == 401
        token = client.post("/login").json()["access_token"]
        answer = client.get("/cart", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {"user": "alice", "items": ["茶", "墨"]}


def test_a_new_sign_in_ends_the_one_on_the_same_kind_of_device(
    shop: Callable[[str], ModuleType],
) -> None:
    """The other kind stays; a wrong password ends nothing; the list has the cause."""
    with TestClient(shop("zh_kick").app) as client:
        old, phone = sign_in(client, "alice", "pc"), sign_in(client, "alice", "phone")
        form = {"username": "alice", "password": "guess", "device": "phone"}
        assert client.post("/login", json=form).status_code == 400
        new = sign_in(client, "alice", "pc")
        assert [status(client, each) for each in (old, phone, new)] == [401, 200, 200]
        refused = client.post("/refresh", json={"refresh_token": old["token"]})
        assert refused.status_code == 400
        assert refused.headers["X-Refresh-Outcome"] == "revoked"
        root = {"Authorization": sign_in(client, "root", "pc")["Authorization"]}
        listed = client.get("/accounts/alice/sessions", headers=root).json()
        assert sorted((one["device"], one["cause"]) for one in listed) == [
            ("pc", ""),
            ("pc", "limit"),
            ("phone", ""),
        ]


def test_one_session_at_a_time_is_one_setting(
    shop: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `most_sessions` 1 any new sign-in ends the one before."""
    monkeypatch.setenv("LINQI_SESSIONS__MOST_SESSIONS", "1")
    with TestClient(shop("zh_kick").app) as client:
        pc, phone = sign_in(client, "alice", "pc"), sign_in(client, "alice", "phone")
        assert [status(client, each) for each in (pc, phone)] == [401, 200]


def test_an_administrator_ends_sessions_and_a_password_ends_the_others(
    shop: Callable[[str], ModuleType],
) -> None:
    """One, all, all but the caller's; a disabled account cannot sign in again."""
    with TestClient(shop("zh_kick").app) as client:
        root = {"Authorization": sign_in(client, "root", "pc")["Authorization"]}
        pc, phone = sign_in(client, "alice", "pc"), sign_in(client, "alice", "phone")
        mine = {"Authorization": pc["Authorization"]}
        assert client.delete("/accounts/alice/sessions", headers=mine).status_code == 403
        changed = client.put("/me/password", json={"password": PEOPLE["alice"]}, headers=mine)
        assert changed.status_code == 204
        assert [status(client, each) for each in (pc, phone)] == [200, 401]
        phone = sign_in(client, "alice", "phone")
        listed = client.get("/accounts/alice/sessions", headers=root).json()
        (one,) = (one for one in listed if (one["device"], one["cause"]) == ("pc", ""))
        url = f"/accounts/alice/sessions/{one['id']}"
        assert client.delete(url, headers=root).status_code == 204
        assert [status(client, each) for each in (pc, phone)] == [401, 200]
        assert client.delete("/accounts/alice/sessions", headers=root).status_code == 204
        assert status(client, phone) == 401
        phone = sign_in(client, "alice", "phone")
        assert client.delete("/accounts/alice", headers=root).status_code == 204
        assert status(client, phone) == 401
        form = {"username": "alice", "password": PEOPLE["alice"]}
        assert client.post("/login", json=form).status_code == 400


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the example of the frontend, with tokens that live 6 s at most."""
    folder = copied("zh_frontend", tmp_path_factory.mktemp("frontend"))
    command = ["uvicorn", "shop:app", "--port", "0"]
    environment = {
        "LINQI_RENEWAL__LIFETIME_SECONDS": "6",
        "LINQI_RENEWAL__BUFFER_SECONDS": "2",
    }
    server = running(command, folder / "log", health="/", environment=environment)
    with contextlib.chdir(folder), server as url:
        yield url.replace("127.0.0.1", "localhost")


async def test_ten_requests_after_the_expiry_refresh_once_in_two_tabs(frontend: str) -> None:
    """As the page says: every request is answered 200, and /refresh is called once."""
    async with browsing() as browser:
        context = await browser.new_context()
        watch = Watch(context)
        page = await context.new_page()
        await page.goto(frontend)
        module = "const { signIn, loadPage } = await import('/static/page.js')\n"
        await run(page, module + "await signIn('alice', 'correct horse')")
        assert await run(page, module + "return await loadPage()") == [200] * 10
        other = await context.new_page()
        await other.goto(frontend)
        assert await run(other, module + "return await loadPage()") == [200] * 10
        await page.wait_for_timeout(7000)  # nothing is requested; the token expires
        before = watch.count("/refresh")
        answers = [await run(each, module + "return await loadPage()") for each in (page, other)]
        assert answers == [[200] * 10] * 2
        assert watch.count("/refresh") - before == 1
        assert watch.refused("/me") == 0
        await context.close()


MINI = """
const { createMiniSession } = await import('/static/mini_session.js')
const memory = { value: null, get() { return this.value }, set(value) { this.value = value } }
window.memory = memory
window.seen = []
const request = async ({ url, method, data, headers }) => {
  seen.push(url)
  if (window.isOffline && url.endsWith('/refresh')) return { status: 503, data: {} }
  const answer = await fetch(url, {
    method, headers: { 'Content-Type': 'application/json', ...headers },
    body: data && JSON.stringify(data), credentials: 'omit',
  })
  const text = await answer.text()
  return { status: answer.status, data: text ? JSON.parse(text) : null }
}
window.mini = createMiniSession({ request, storage: memory, base: location.origin })
await mini.signIn('alice', 'correct horse')
window.ten = async () => (await Promise.all(
  Array.from({ length: 10 }, () => mini.call('/me')))).map(({ status }) => status)
"""


async def test_a_client_without_cookies_refreshes_once_and_survives_an_outage(
    frontend: str,
) -> None:
    """Ten requests at once, one refresh; a 503 ends nothing, a revoked session does."""
    async with browsing() as browser:
        page = await browser.new_page()
        await page.goto(frontend)
        await run(page, MINI)
        await page.wait_for_timeout(7000)
        script = "window.seen = []; const done = await ten()\nreturn [done, seen]"
        done, seen = await run(page, script)
        assert done == [200] * 10
        assert [url.rpartition("/")[2] for url in seen].count("refresh") == 1
        failed = await run(
            page,
            """
            window.isOffline = true
            const now = Date.now.bind(Date)
            Date.now = () => now() + 5000 // past refresh_in, and the token is still valid
            return [await ten().catch(() => 'failed'), mini.isSignedIn]
            """,
        )
        assert failed == [[200] * 10, True]
        ended = await run(
            page,
            """
            window.isOffline = false
            const pair = memory.get()
            await fetch('/logout', { method: 'POST', credentials: 'omit',
              headers: { 'Content-Type': 'application/json' },
              body: JSON.stringify({ refresh_token: pair.refresh_token }) })
            const error = await mini.call('/me').catch((error) => error.message)
            return [error, mini.isSignedIn, memory.get()]
            """,
        )
        assert ended == ["刷新失败：400", False, None]


@pytest.mark.long
def test_the_comparison_of_three_ways_runs(tmp_path: Path) -> None:
    """Each way answers; only the ways without renewal sign anyone in again while active."""
    folder = copied("zh_three_ways", tmp_path / "three")
    arguments = ["--rounds", "1", "--seconds", "0.3", "--users", "5", "--hour", "15"]
    arguments += ["--people", "4", "--kicks", "2"]
    done = subprocess.run(
        [sys.executable, "bench.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: dict[str, dict[str, Any]] = {}
    for way, counts in re.findall(r"一直在用｜(\S.*?)\s+(请求 .*)", done.stdout):
        rows[way] = {name: float(n) for name, n in re.findall(r"(\S+) ([\d.]+)", counts)}
    assert list(rows) == ["黑名单", "黑名单+续签", "双 token", "临期滑动"], done.stdout
    assert rows["黑名单"]["，重新登录"] > 0
    for way in ("双 token", "临期滑动"):
        assert rows[way]["，重新登录"] == rows[way]["，401"] == 0
    assert "每请求 Redis 命令 1.000" in done.stdout
    assert done.stdout.count("其间还被接受的请求") == 3
