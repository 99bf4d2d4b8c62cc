"""What an attacker of the notes server would try, against the running server."""

import asyncio
import base64
import hashlib
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import run  # noqa: E402

SETTINGS = {"LINQI_RENEWAL__LIFETIME_SECONDS": "300", "LINQI_SESSIONS__GRACE_SECONDS": "0"}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Serve the notes; yield the folder and the origin."""
    folder = tmp_path_factory.mktemp("notes")
    with run.serving(folder, **SETTINGS) as (origin, _):
        yield folder, origin


@pytest.fixture
def program(place):
    """Return what makes clients, and closes them at the end."""
    made = []

    def make(name="Test", uri=run.CALLBACK):
        made.append(Program(place[1], name, uri))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


class Program:
    """A client that speaks OAuth by hand, so that it can do it wrong."""

    def __init__(self, origin, name, uri):
        self.http = httpx2.Client(base_url=origin, timeout=run.PATIENCE)
        self.resource = f"{origin}/mcp"
        metadata = {
            "client_name": name,
            "redirect_uris": [uri],
            "token_endpoint_auth_method": "none",
        }
        self.id = self.http.post("/register", json=metadata).json()["client_id"]

    def page(self, **changes):
        """Return the page of the sign-in, or the refusal of the request."""
        asked = {
            "client_id": self.id,
            "response_type": "code",
            "redirect_uri": run.CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "scope": "notes:read",
            "state": "s",
            "resource": self.resource,
        }
        answer = self.http.get("/authorize", params=asked | changes)
        place = answer.headers.get("location", "")
        return self.http.get(place) if "/login" in place else answer

    def code(self, user="alice", password=None, **changes):
        """Return the code of a sign-in, or the page that refuses it."""
        page = self.page(**changes)
        asked = parse_qs(page.url.query.decode())["asked"][0]
        form = {"asked": asked, "username": user, "password": password or run.PASSWORDS[user]}
        answer = self.http.post(page.url, data=form)
        if answer.status_code != 303:
            return answer
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def tokens(self, code, verifier=VERIFIER):
        """Return the answer to a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": run.CALLBACK}
        form |= {"client_id": self.id, "code_verifier": verifier, "resource": self.resource}
        return self.http.post("/token", data=form)

    def refresh(self, token, **more):
        """Return the answer to a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.id}
        form |= more
        return self.http.post("/token", data=form)

    def status(self, token):
        """Return how the notes answer a token."""
        headers = run.HEADERS | {"Authorization": f"Bearer {token}"}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        return self.http.post("/mcp", json=message, headers=headers).status_code


def refused(answer):
    """Return why the token endpoint refused."""
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_a_code_counts_once(program):
    """A code that was seen in a history or a log is worth nothing."""
    client = program()
    code = client.code()
    assert client.tokens(code).status_code == 200
    assert refused(client.tokens(code)) == "invalid_grant"


def test_a_stolen_code_needs_the_verifier_of_its_client(program):
    """PKCE (RFC 7636): who has the code alone gets no token."""
    client = program()
    assert refused(client.tokens(client.code(), verifier="w" * 43)) == "invalid_grant"


def test_a_code_of_another_client_is_refused(program):
    """A code is for the client that asked for it."""
    code = program().code()
    assert refused(program().tokens(code)) == "invalid_grant"


def test_a_wrong_password_leads_to_no_code(program):
    """And no redirect tells the client."""
    answer = program().code(password="guess")
    assert answer.status_code == 401
    assert "location" not in answer.headers


def test_no_page_is_sent_to_an_address_that_was_not_registered(program):
    """Otherwise a code would be sent to the author of the link."""
    answer = program().page(redirect_uri="http://127.0.0.1:9/thief")
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"resource": "https://calendar.example/mcp"}, "invalid_target"),
        ({"scope": "notes:read admin"}, "invalid_scope"),
    ],
)
def test_requests_for_another_server_or_scope_are_refused(program, change, error):
    """The sign-in issues tokens of this server, with the scopes that it has."""
    answer = program().page(**change)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_the_name_of_a_client_is_text_on_the_page(program):
    """Any program may register, under any name."""
    page = program(name="<script>alert(1)</script>").page()
    assert "<script>" not in page.text
    assert "default-src 'none'; frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_a_refresh_token_that_another_client_presents_ends_the_session(program):
    """It was stolen; neither the thief nor the copy goes on."""
    owner, thief = program(), program()
    tokens = owner.tokens(owner.code()).json()
    assert owner.status(tokens["access_token"]) != 401
    assert refused(thief.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert refused(owner.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert owner.status(tokens["access_token"]) == 401


@pytest.mark.parametrize("scope", ["notes:write", "notes:read notes:write"])
def test_a_refresh_gives_no_scope_that_the_user_did_not_allow(program, scope):
    """RFC 6749, section 6: a wider scope needs another sign-in."""
    client = program()
    tokens = client.tokens(client.code()).json()
    answer = client.refresh(tokens["refresh_token"], scope=scope)
    assert answer.status_code == 400 or answer.json()["scope"] == "notes:read"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://bank.example/back", "https://bank.example"),
        ("evil://bank.example/", "evil://"),
        ("com.example.app:/back", "com.example.app:"),
        ("https://bank.example@evil.example/", "evil"),
    ],
)
def test_the_page_shows_where_the_code_goes(program, uri, shown):
    """Neither another scheme nor a user name before the host passes for a bank."""
    client = program(uri=uri)
    page = client.page(redirect_uri=uri).text
    assert f"<b>{shown}" in page or f"<b>https://{shown}" in page


def test_a_file_in_place_of_a_password_is_a_wrong_password(program):
    """What is no text is no error of the server."""
    page = program().page()
    asked = parse_qs(page.url.query.decode())["asked"][0]
    files = {"username": ("a", b"alice"), "password": ("b", b"correct horse")}
    answer = httpx2.post(page.url, data={"asked": asked}, files=files, timeout=run.PATIENCE)
    assert answer.status_code == 401


def test_a_spent_refresh_token_ends_the_session(program):
    """One of the two holders is a thief, and no one knows which."""
    client = program()
    first = client.tokens(client.code()).json()
    second = client.refresh(first["refresh_token"]).json()
    third = client.refresh(second["refresh_token"]).json()
    assert refused(client.refresh(first["refresh_token"])) == "invalid_grant"
    assert refused(client.refresh(third["refresh_token"])) == "invalid_grant"
    assert client.status(third["access_token"]) == 401


def test_a_token_for_another_server_is_refused(place, program):
    """Though the same issuer signed it with the same key."""
    folder, origin = place
    other = run.token_for(folder, origin, "https://calendar.example/mcp")
    own = run.token_for(folder, origin, f"{origin}/mcp")
    client = program()
    assert client.status(other) == 401
    assert client.status(own) != 401


def test_a_stolen_session_id_is_worth_nothing(place, program):
    """A session of the protocol belongs to the user and the client that began it."""

    async def stolen():
        async with httpx2.AsyncClient(timeout=run.PATIENCE) as http:
            victim = await run.begun(http, place[1], tokens["alice"])
            theft = victim | {"Authorization": f"Bearer {tokens['mallory']}"}
            return [await run.listed(http, place[1], headers) for headers in (victim, theft)]

    client = program()
    tokens = {
        user: client.tokens(client.code(user)).json()["access_token"] for user in run.PASSWORDS
    }
    assert asyncio.run(stolen()) == [200, 404]


def test_a_tool_that_writes_needs_its_scope(place, program):
    """With notes:read alone the tool does not run, and the client is told what to ask for."""

    async def answer():
        async with httpx2.AsyncClient(timeout=run.PATIENCE) as http:
            headers = await run.begun(http, place[1], token)
            params = {"name": "add_note", "arguments": {"text": "milk"}}
            message = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}
            return await http.post(f"{place[1]}/mcp", json=message, headers=headers)

    client = program()
    token = client.tokens(client.code()).json()["access_token"]
    refusal = asyncio.run(answer())
    assert refusal.status_code == 403
    assert "notes:write" in refusal.headers["www-authenticate"]
