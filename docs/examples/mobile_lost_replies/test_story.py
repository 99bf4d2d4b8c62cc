"""What the server answers to spent refresh tokens, and what the client does with lost replies."""

import asyncio
import importlib
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from client import Offline, Phone, SignedOut
from fastapi.testclient import TestClient

HERE = Path(__file__).parent
HOUR = 3600
GRACE = 60  # seconds, instead of 10: time goes on while a busy machine answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a copy of the story with keys of its own."""
    made = tmp_path_factory.mktemp("story") / "app"
    shutil.copytree(HERE, made, ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in ([], ["--alg", "HS256", "--out", "refresh.json"]):
        command = [sys.executable, "-m", "linqi", "keygen", *arguments]
        subprocess.run(command, cwd=made, check=True, capture_output=True)
    return made


@pytest.fixture
def server(folder, monkeypatch):
    """Start the server in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINQI_SESSIONS__GRACE_SECONDS", str(GRACE))
    with TestClient(importlib.reload(importlib.import_module("server")).app) as client:
        yield client


def sign_in(server):
    """Return the first refresh token of a session."""
    form = {"username": "alice", "password": "correct horse"}
    return server.post("/login", json=form).json()["refresh_token"]


def refresh(server, token):
    """Return status, outcome and body of a refresh."""
    answer = server.post("/refresh", json={"refresh_token": token})
    return answer.status_code, answer.headers["X-Refresh-Outcome"], answer.json()


def opens(server, answer):
    """Return the status of the feed for the access token of an answer."""
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    return server.get("/feed", headers=bearer).status_code


def test_a_retry_gets_the_same_successor(server, linqi_clock):
    """Within the grace, however often it is sent."""
    first = sign_in(server)
    _, _, successor = refresh(server, first)
    linqi_clock.advance(10)
    for _ in range(5):
        status, outcome, again = refresh(server, first)
        assert (status, outcome) == (200, "replayed")
        assert again["refresh_token"] == successor["refresh_token"]


def test_a_reply_that_was_lost_overnight_is_recovered(server, linqi_clock):
    """The successor was never presented, so the phone cannot have received it."""
    first = sign_in(server)
    refresh(server, first)
    linqi_clock.advance(8 * HOUR)
    status, outcome, answer = refresh(server, first)
    assert (status, outcome) == (200, "recovered")
    assert opens(server, answer) == 200


def test_after_a_day_a_spent_token_is_theft(server, linqi_clock):
    """`recover_seconds` is over: the session ends."""
    first = sign_in(server)
    _, _, successor = refresh(server, first)
    linqi_clock.advance(25 * HOUR)
    assert refresh(server, first)[:2] == (400, "reused")
    assert refresh(server, successor["refresh_token"])[:2] == (400, "revoked")


def test_an_old_copy_ends_the_session_of_thief_and_phone(server, linqi_clock):
    """The phone went on: the copy is refused, and every token of the session with it."""
    copied = sign_in(server)
    _, _, second = refresh(server, copied)
    _, _, third = refresh(server, second["refresh_token"])
    linqi_clock.advance(2 * GRACE)
    assert refresh(server, copied)[:2] == (400, "reused")
    assert opens(server, third) == 401
    assert refresh(server, third["refresh_token"])[:2] == (400, "revoked")


def test_a_thief_who_is_first_is_noticed_when_the_phone_comes(server, linqi_clock):
    """Who has the spent token cannot be told from the thief: both must sign in again."""
    shared = sign_in(server)
    _, _, of_thief = refresh(server, shared)
    refresh(server, of_thief["refresh_token"])
    linqi_clock.advance(2 * GRACE)
    assert refresh(server, shared)[:2] == (400, "reused")
    assert opens(server, of_thief) == 401


class Answers:
    """A server that gives prepared answers; it notes what was posted."""

    def __init__(self, *answers):
        self.answers, self.posted = [*answers], []

    async def __call__(self, request):
        """Return the next answer; an exception stands for a lost reply."""
        await asyncio.sleep(0)
        if request.url.path == "/feed":
            return httpx2.Response(200, json={})
        self.posted.append(json.loads(request.content)["refresh_token"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def pair(sequence):
    """Return an answer of the refresh route."""
    names = {"access_token": "a.b.c", "refresh_token": f"r{sequence}"}
    return httpx2.Response(200, json=names | {"refresh_in": 600, "sequence": sequence})


REFUSED = httpx2.Response(400, json={"error": "invalid_grant"})
LOST = httpx2.ReadError("the reply was lost")


def phone_with(answers, file, sequence=0):
    """Return an app that was just started."""
    file.write_text(json.dumps({"refresh_token": f"r{sequence}", "sequence": sequence}))
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answers))
    return Phone("http://server.test", file, http)


def test_a_lost_reply_is_asked_for_again_with_the_same_token(tmp_path):
    """Twice; then the new token is on disk, readable by its owner only."""
    answers, file = Answers(LOST, LOST, pair(1)), tmp_path / "tokens.json"
    asyncio.run(phone_with(answers, file).get("/feed"))
    assert answers.posted == ["r0"] * 3
    assert json.loads(file.read_text())["refresh_token"] == "r1"
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_network_ends_no_session(tmp_path):
    """Neither do 503, 500 and the page of a hotel's network; the token stays on disk."""
    busy, broken = httpx2.Response(503), httpx2.Response(500, json={})
    pages = (httpx2.Response(status, html="<p>Welcome") for status in (200, 400))
    for given in ((LOST,) * 3, (busy,) * 3, (broken,), *((page,) for page in pages)):
        file = tmp_path / "tokens.json"
        with pytest.raises(Offline):
            asyncio.run(phone_with(Answers(*given), file).get("/feed"))
        assert json.loads(file.read_text())["refresh_token"] == "r0"


def test_invalid_grant_ends_the_session(tmp_path):
    """The file is gone, and nothing is posted again."""
    answers, file = Answers(REFUSED), tmp_path / "tokens.json"
    phone = phone_with(answers, file)
    for _ in range(2):
        with pytest.raises(SignedOut):
            asyncio.run(phone.get("/feed"))
    assert answers.posted == ["r0"]
    assert not file.exists()


def test_parallel_requests_share_one_refresh(tmp_path):
    """Twenty requests of an app that has just started."""
    answers = Answers(pair(1))
    phone = phone_with(answers, tmp_path / "tokens.json")

    async def start():
        await asyncio.gather(*(phone.get("/feed") for _ in range(20)))

    asyncio.run(start())
    assert answers.posted == ["r0"]


def test_an_earlier_pair_never_replaces_a_later_one(tmp_path):
    """An answer that was late keeps its hands off the disk."""
    file = tmp_path / "tokens.json"
    asyncio.run(phone_with(Answers(pair(3)), file, 5).get("/feed"))
    assert json.loads(file.read_text())["refresh_token"] == "r5"
