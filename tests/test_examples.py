"""What the documentation shows runs, as a reader would run it."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx2
import pytest

from asgi import served
from example_files import EXAMPLES, MARK, ROOT, imported, shown_on
from linqi import Key
from linqi.cli import main
from linqi.config import wrap
from linqi.config.checker import check
from linqi.testing import FakeIssuer
from signed_in import PASSWORD
from tokens import good_claims, make

PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if MARK.search(page.read_text())
)


def load(name: str) -> ModuleType:
    """Import an example that is one file."""
    return imported(EXAMPLES / f"{name}.py")


def client_of(app: object) -> httpx2.AsyncClient:
    """Return a client that calls `app` in this process."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),  # type: ignore[arg-type]
        base_url="http://shop.test",
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_example_as_it_is(page: str) -> None:
    """Each code block with a file's name is that file, which other tests run."""
    shown = shown_on(ROOT / page)
    assert len(shown) == len(MARK.findall((ROOT / page).read_text()))
    for path, code in shown:
        assert code == (ROOT / path).read_text(), path


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_settings_that_its_application_reads(page: str) -> None:
    """A reader who copies an application finds its `linqi.toml` there, or the command for it."""
    text = (ROOT / page).read_text()
    shown = shown_on(ROOT / page)
    if any('"linqi.toml"' in code for path, code in shown if path.endswith(".py")):
        assert "linqi init" in text or any(path.endswith(".toml") for path, _ in shown)


def test_a_page_whose_code_fetches_keys_names_the_extra_for_it() -> None:
    """Else a reader who copies it is told that httpx2 is missing."""
    fetching = re.compile(r"linqi jwks |RemoteKeys\(|Introspection\(|AlbKeys\(")
    for page in [*(ROOT / "docs" / "guides").glob("*.md"), *(ROOT / "docs").rglob("faq.md")]:
        text = page.read_text()
        blocks = re.findall(r"^```(?:sh|python)\n(.*?)^```", text, re.S | re.M)
        if any(fetching.search(block) for block in blocks):
            assert re.search(r"linqi\[[a-z,]*\bremote\b", text), page.name


def test_every_relative_link_in_the_docs_leads_somewhere() -> None:
    """Pages and files that the documentation links to exist."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


async def test_the_event_streams_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream begins after Last-Event-ID, and a successor sent beside it is adopted."""
    monkeypatch.chdir(tmp_path)
    example = load("event_streams")
    async with served(example.app) as port, httpx2.AsyncClient() as client:
        site = f"http://127.0.0.1:{port}"
        token = (await client.post(f"{site}/login")).json()["access_token"]
        verified = example.app.verifier.verify(token)
        claims = verified.claims | {"jti": "successor", "exp": verified.expires_at + 60}
        successor = example.signer.sign(claims)
        caller = {"Authorization": f"Bearer {token}", "Last-Event-ID": "7"}
        async with client.stream("GET", f"{site}/events", headers=caller) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "id: 8"
            (stream,) = example.streams
            assert stream.verified == verified
            bearer = {"Authorization": f"Bearer {successor}"}
            handed = await client.post(f"{site}/events/token", headers=bearer)
            assert (handed.status_code, stream.verified.token_id) == (204, "successor")
        refused = await client.get(f"{site}/events", headers={"Last-Event-ID": "7"})
        assert refused.status_code == 401


@pytest.mark.parametrize("alias", ["bare", "fastapi_app"])
async def test_an_example_lets_in_only_who_signed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alias: str
) -> None:
    """/login gives a token that opens /me; without it the answer is a bare challenge."""
    monkeypatch.chdir(tmp_path)
    async with client_of(load(alias).app) as client:
        method = client.get if alias == "bare" else client.post
        token = (await method("/login")).json()["access_token"]
        allowed = await client.get("/me", headers={"Authorization": f"Bearer {token}"})
        refused = await client.get("/me")
    assert allowed.status_code == 200
    assert allowed.json()["user"] == "alice"
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'


async def test_the_refusals_of_the_example_are_in_its_format() -> None:
    """The function's body for a 401, the envelope for a 403, in the language asked for."""
    example = load("refusal_bodies")
    token = example.renewal.start("alice").token
    async with client_of(example.app) as client:
        stranger = await client.get("/orders", headers={"Accept-Language": "de"})
        lacking = {"Authorization": f"Bearer {token}", "Accept-Language": "zh"}
        forbidden = await client.get("/orders", headers=lacking)
    assert stranger.status_code == 401
    assert stranger.json() == {
        "code": "no_token",
        "msg": "Bitte melden Sie sich an",
        "data": {"login": "/login"},
    }
    assert forbidden.status_code == 403
    assert forbidden.json()["code"] == 40300
    assert 'scope="orders:read"' in forbidden.headers["WWW-Authenticate"]


async def test_starlettes_requires_works_in_the_fastapi_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scope that the token has opens a route, one that it lacks gives 403."""
    monkeypatch.chdir(tmp_path)
    async with client_of(load("fastapi_app").app) as client:
        token = (await client.post("/login")).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/orders", headers=headers)).status_code == 200
        assert (await client.delete("/orders", headers=headers)).status_code == 403


async def test_the_transport_of_ones_own_takes_what_curl_and_pip_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password of the user "token" is the token; anything else of that scheme is refused."""
    monkeypatch.chdir(tmp_path)
    module = load("basic_transport")
    claims = {"sub": "alice", "iat": int(time.time()), "exp": int(time.time()) + 60}
    token = module.signer.sign(claims)
    bearer = {"Authorization": f"Bearer {token}"}
    async with served(module.app) as port, httpx2.AsyncClient() as client:
        site = f"http://127.0.0.1:{port}/me"
        assert (await client.get(site, auth=("token", token))).text == "alice"
        assert (await client.get(site, headers=bearer)).text == "alice"
        assert (await client.get(site)).status_code == 401
        assert (await client.get(site, auth=("token", token + "x"))).status_code == 401
        assert (await client.get(site, auth=("alice", token))).status_code == 400
        broken = {"Authorization": "Basic ?"}
        assert (await client.get(site, headers=broken)).status_code == 400
        twice = [*bearer.items(), ("Authorization", "Basic dG9rZW46YQ==")]
        assert (await client.get(site, headers=twice)).status_code == 400


@pytest.mark.parametrize(
    ("name", "issuer", "audience", "header"),
    [
        (
            "iap",
            "https://cloud.google.com/iap",
            "/projects/PROJECT-NUMBER/global/backendServices/SERVICE-ID",
            "X-Goog-IAP-JWT-Assertion",
        ),
        ("cloudflare", "https://TEAM.cloudflareaccess.com", ["AUD-TAG"], "Cf-Access-Jwt-Assertion"),
    ],
)
async def test_the_token_of_a_proxy_opens_the_application_behind_it(
    name: str, issuer: str, audience: object, header: str
) -> None:
    """With the vendor's claims in the vendor's header; in Authorization it is not looked at."""
    module = load("behind_proxies")
    app = getattr(module, f"behind_{name}")
    fake = FakeIssuer(issuer, alg=getattr(module, name).algorithms[0])
    fake.attach(app)
    claims = {"email": "alice@APP.example", "aud": audience}
    token = fake.token("accounts.google.com:1", claims=claims)
    page = {"Origin": "https://APP.example"}
    other = {"Origin": "https://evil.example"}
    async with client_of(app) as client:
        allowed = await client.post("/", headers={header: token, **page})
        csrf = await client.post("/", headers={header: token, **other})
        elsewhere = await client.get("/", headers={"Authorization": f"Bearer {token}"})
    assert (allowed.status_code, allowed.text) == (200, "alice@APP.example")
    assert (csrf.status_code, elsewhere.status_code) == (400, 401)


async def test_the_issuers_of_the_examples_are_those_of_its_toml_form() -> None:
    """Both construct, and a token of neither issuer is refused without a fetch."""
    module = load("outside_issuers")
    configured = wrap(module.api, EXAMPLES / "outside_issuers.toml", environ={})
    forged = make(Key.generate("ES256"), good_claims())
    for app in (module.app, configured):
        assert [trusted.issuer for trusted in app.verifier.issuers] == [
            "https://TENANT.eu.auth0.com/",
            "https://ID.example/realms/REALM",
        ]
        async with client_of(app) as client:
            answer = await client.get("/me", headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 401


async def test_the_dual_tokens_example_signs_in_refreshes_and_signs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the guide says: login, use, refresh, sign out, refused."""
    monkeypatch.chdir(tmp_path)
    module = load("dual_tokens")
    await module.sessions.start()
    async with client_of(module.app) as client:
        person = {"username": "alice", "password": "correct horse"}
        pair = (await client.post("/login", json=person)).json()
        headers = {"Authorization": f"Bearer {pair['access_token']}"}
        assert (await client.get("/me", headers=headers)).text == "alice"
        token = {"refresh_token": pair["refresh_token"]}
        assert (await client.post("/refresh", json=token)).json()["sequence"] == 1
        assert (await client.post("/logout", json=token)).status_code == 204
        assert (await client.get("/me", headers=headers)).status_code == 401
    await module.sessions.close()


async def test_the_example_of_two_origins_serves_its_page_and_no_sibling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listed page signs in with CORS; a sibling that is not listed gets neither."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    module = load("sibling_origin")
    await module.sessions.start()
    person = {"username": "alice", "password": "correct horse"}
    async with client_of(module.app) as client:
        for name, status in (("app", 200), ("old", 400)):
            origin = f"https://{name}.shop.example"
            asking = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type, x-token-delivery",
            }
            assert (await client.options("/login", headers=asking)).status_code == status
            headers = {"X-Token-Delivery": "cookie", "Origin": origin}
            headers["Sec-Fetch-Site"] = "same-site"
            answer = await client.post("/login", json=person, headers=headers)
            assert answer.status_code == status
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (origin if status == 200 else None)
            refused = await client.get("/me", headers={"Origin": origin})
            assert refused.status_code == 401
            assert refused.headers.get("access-control-allow-origin") == allowed
    await module.sessions.close()


def test_the_client_example_stays_signed_in(
    dual_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed in, answered, and the tokens kept for the next start."""
    monkeypatch.chdir(tmp_path)
    with load("python_client").client_of(dual_server, "alice", PASSWORD) as client:
        assert client.get("/me").json()["subject"] == "alice"
    assert (tmp_path / "tokens.json").exists()


def to_be_mended(path: str) -> set[str]:
    """Return the codes of what `linqi check` would have changed; examples name no real issuer."""
    return {finding.code for finding in check(path).findings if finding.severity != "note"}


async def test_the_example_of_dual_tokens_by_a_file_signs_in_and_refreshes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys that its comments name are made, and the session routes answer."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "sessions.toml", tmp_path)
    assert main(["keygen"]) == main(["keygen", "--alg", "HS256", "--out", "refresh.json"]) == 0
    assert to_be_mended("sessions.toml") == {"placeholder"}
    app = load("from_config_dual").app
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan"}, messages.get, sent.put))
    await messages.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    async with client_of(app) as client:
        person = {"username": "alice", "password": "correct horse"}
        pair = (await client.post("/login", json=person)).json()
        headers = {"Authorization": f"Bearer {pair['access_token']}"}
        assert (await client.get("/me", headers=headers)).text == "alice"
        token = {"refresh_token": pair["refresh_token"]}
        assert (await client.post("/refresh", json=token)).json()["sequence"] == 1
    await messages.put({"type": "lifespan.shutdown"})
    await lifespan


@pytest.mark.parametrize("name", ["bare", "from_config"])
def test_an_example_runs_on_a_real_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """``uvicorn bare:app`` in the folder of the example serves it, as the documentation says."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
    shutil.copy(EXAMPLES / "linqi.toml", tmp_path)
    assert main(["keygen"]) == 0
    assert to_be_mended("linqi.toml") == {"placeholder"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"{name}:app", "--port", "0", "--no-access-log"],
            cwd=tmp_path,
            stderr=output,
        )
    try:
        base = _address(log, server)
        token = httpx2.get(f"{base}/login").json()["access_token"]
        answer = httpx2.get(f"{base}/me", headers={"Authorization": f"Bearer {token}"})
        assert json.loads(answer.text) == {"user": "alice", "scopes": ["read"]}
        assert httpx2.get(f"{base}/me").status_code == 401
    finally:
        server.terminate()
        server.wait(60)


def test_four_workers_of_the_dual_tokens_example_share_one_key(tmp_path: Path) -> None:
    """``uvicorn dual_tokens:app --workers 4`` on an empty folder: one makes, all load."""
    shutil.copy(EXAMPLES / "dual_tokens.py", tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "dual_tokens:app", "--port", "0", "--workers", "4"],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        base = _address(log, server)
        _wait_for(lambda: log.read_text().count("Application startup complete") == 4)
        person = {"username": "alice", "password": "correct horse"}
        pairs = [httpx2.post(f"{base}/login", json=person, timeout=60).json() for _ in range(12)]
        heads = [pair["access_token"].partition(".")[0] for pair in pairs]
        assert len(set(heads)) == 1, "each worker signed with a key of its own"
        for pair in pairs:  # by a connection of its own, so by any worker
            headers = {"Authorization": f"Bearer {pair['access_token']}"}
            assert httpx2.get(f"{base}/me", headers=headers, timeout=60).text == "alice"
            token = {"refresh_token": pair["refresh_token"]}
            answer = httpx2.post(f"{base}/refresh", json=token, timeout=60)
            assert answer.json()["sequence"] == 1
    finally:
        server.terminate()
        server.wait(60)
    workers = set(re.findall(r"Started server process \[(\d+)\]", log.read_text()))
    assert len(workers) == 4
    for name in ("keys.json", "refresh.json"):
        assert len(json.loads((tmp_path / name).read_text())["keys"]) == 1
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith("sessions.db")}
    assert left <= {"dual_tokens.py", "log", "keys.json", "refresh.json", "__pycache__"}


def _wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about within 60 s")


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    for _ in range(1200):
        found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        assert server.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
