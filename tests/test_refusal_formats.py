"""The bodies of refusals in the format of the application."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from asgi import Answer, App, call, http
from linqi import (
    ANONYMOUS,
    ConfigurationError,
    JWTMiddleware,
    Key,
    KeySet,
    LoggingHook,
    Refusal,
    RefusalFacts,
    RefusalFormat,
    RequireLogin,
    RequireScopes,
    missing_scopes,
)
from linqi.asgi.refusal_format import STYLES
from linqi.asgi.refusals import WRITER, refusal_for
from linqi.config import InvalidConfig, build, read, wrap
from linqi.errors import TokenRevoked, Unavailable
from linqi.events import RefusalBodyFailed, TokenRefused
from tokens import NOW, good_claims, make, verifier_of

KEY = Key.generate("HS256")
GOOD = make(KEY, good_claims())
EXPIRED = make(KEY, good_claims(exp=int(NOW) - 1))
CHINESE = [(b"accept-language", b"zh-CN,zh;q=0.9,en;q=0.8")]


def guard(refusal: RefusalFormat | None, app: Any = None, **options: Any) -> JWTMiddleware:
    """Return an application behind the middleware with a format."""
    options = {"hooks": (), "clock": lambda: NOW} | options
    return JWTMiddleware(
        App() if app is None else app,
        options.pop("verifier", verifier_of(KEY)),
        refusal=refusal,
        **options,
    )


def body_of(answer: Answer) -> bytes:
    """Return the body of a response, whose length is the one declared."""
    body = b"".join(message.get("body", b"") for message in answer.messages[1:])
    assert answer.header("content-length") == str(len(body))
    return bytes(body)


def json_of(answer: Answer) -> Any:
    """Return the JSON body."""
    return json.loads(body_of(answer))


async def refused(
    refusal: RefusalFormat | None, token: str | None = EXPIRED, **more: Any
) -> Answer:
    """Return the answer to a request with `token`."""
    return await call(guard(refusal), http(token=token, **more))


async def test_each_style_has_its_body() -> None:
    """RFC 6750's, RFC 9457's, FastAPI's and the envelope of code, msg and data."""
    text = "The access token expired"
    bodies = {style: json_of(await refused(RefusalFormat(style))) for style in STYLES}
    assert bodies == {
        "rfc6750": {"error": "invalid_token", "error_description": text},
        "problem": {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": text,
            "code": "token_expired",
        },
        "detail": {"detail": text, "code": "token_expired"},
        "envelope": {"code": "token_expired", "msg": text, "data": None},
    }


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, []),
        (EXPIRED, []),
        ("no-token", []),
        (None, [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]),
    ],
    ids=["none", "expired", "malformed", "two"],
)
async def test_all_but_the_body_is_as_without_a_format(
    style: str, token: str | None, headers: list[tuple[bytes, bytes]]
) -> None:
    """Status, challenge and cache fields are those of RFC 6750, whatever the body."""
    plain = await refused(None, token, headers=headers)
    own = await refused(RefusalFormat(style), token, headers=headers)
    for answer in (plain, own):
        assert answer.header("cache-control") == "no-store"
        assert (answer.header("www-authenticate") or "").startswith('Bearer realm="api"')
    assert own.status == plain.status
    assert own.header("www-authenticate") == plain.header("www-authenticate")
    media_type = "application/problem+json" if style == "problem" else "application/json"
    assert own.header("content-type") == media_type
    body_of(own)


async def test_the_default_format_changes_nothing() -> None:
    """Off: the same bytes and the same scope."""
    plain, chosen = await refused(None), await refused(RefusalFormat())
    assert plain.messages == chosen.messages
    app = App()
    await call(guard(RefusalFormat(), app), http(token=GOOD))
    assert WRITER not in app.scopes[0]


async def test_an_unavailable_store_keeps_retry_after() -> None:
    """503 says when to try again, in every style."""

    def is_revoked(_: Any) -> bool:
        raise Unavailable("store is down", retry_after=7)

    verifier = verifier_of(KEY, is_revoked=is_revoked, on_revocation_error="closed")
    answer = await call(guard(RefusalFormat("envelope"), verifier=verifier), http(token=GOOD))
    assert (answer.status, answer.header("retry-after")) == (503, "7")
    assert json_of(answer)["code"] == "temporarily_unavailable"


async def test_the_language_is_the_one_the_client_accepts() -> None:
    """Accept-Language chooses, and the response says so (RFC 9110, 12.5.4, 12.5.5, 8.5)."""
    chosen = RefusalFormat("envelope")
    answer = await refused(chosen, headers=CHINESE)
    assert json_of(answer)["msg"] == "访问令牌已过期"
    assert answer.header("content-language") == "zh-CN"
    assert answer.header("vary") == "accept-language"
    english = await refused(chosen)
    assert english.header("content-language") == "en"
    assert english.header("vary") == "accept-language"


async def test_a_fixed_language_asks_nobody() -> None:
    """Without negotiation there is one language and no Vary."""
    answer = await refused(RefusalFormat("detail", language="zh-cn", negotiate=False))
    assert json_of(answer)["detail"] == "访问令牌已过期"
    assert answer.header("content-language") == "zh-CN"
    assert answer.header("vary") is None


async def test_texts_of_the_application_come_before_the_shipped_ones() -> None:
    """A language may be added or changed; what it lacks is English, and said to be."""
    chosen = RefusalFormat(
        "envelope",
        texts={"de": {"token_expired": "abgelaufen"}, "ZH-cn": {"token_expired": "请重新登录"}},
        numbers={"token_expired": 40101},
    )
    german = [(b"accept-language", b"de-AT")]
    expired = await refused(chosen, headers=german)
    assert json_of(expired) == {"code": 40101, "msg": "abgelaufen", "data": None}
    assert expired.header("content-language") == "de"
    missing = await refused(chosen, None, headers=german)
    assert json_of(missing)["msg"] == "Authentication is required"
    assert missing.header("content-language") == "en"
    assert json_of(await refused(chosen, headers=CHINESE))["msg"] == "请重新登录"


async def test_a_problem_has_the_type_of_its_code() -> None:
    """With a base, type is a URI of the code, and title its text (RFC 9457, 3.1)."""
    chosen = RefusalFormat("problem", type_base="https://api.test/errors/")
    problem = json_of(await refused(chosen, headers=CHINESE))
    assert problem["type"] == "https://api.test/errors/token_expired"
    assert problem["title"] == problem["detail"] == "访问令牌已过期"


@pytest.mark.parametrize(
    ("inner", "code", "status"),
    [
        (lambda app: RequireScopes(app, "admin", "root"), "insufficient_scope", 403),
        (
            lambda app: RequireLogin(app, max_age=1, clock=lambda: NOW),
            "insufficient_user_authentication",
            401,
        ),
    ],
)
async def test_guards_inside_follow_the_format(
    inner: Callable[[Any], Any], code: str, status: int
) -> None:
    """A guard is not configured again; its challenge stays."""
    app = guard(RefusalFormat("problem"), inner(App()))
    answer = await call(app, http(token=GOOD, headers=CHINESE))
    problem = json_of(answer)
    assert (answer.status, problem["code"], problem["status"]) == (status, code, status)
    assert f'error="{code}"' in (answer.header("www-authenticate") or "")
    assert problem.get("scope") == ("admin root" if status == 403 else None)
    assert answer.header("content-language") == "zh-CN"


async def test_a_guard_on_an_optional_path_follows_the_format() -> None:
    """A caller without a token is told so in the same format."""
    app = guard(RefusalFormat("detail"), RequireScopes(App(), "admin"), optional=["/me"])
    answer = await call(app, http())
    assert (answer.status, json_of(answer)["code"]) == (401, "no_token")


async def test_missing_scopes_is_the_whole_response_for_a_framework() -> None:
    """None for a caller that may; otherwise what a hook has to send."""
    found: list[Refusal | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.extend([missing_scopes(scope, "read"), missing_scopes(scope, "admin", realm="shop")])

    await guard(RefusalFormat("envelope"), app)(http(token=GOOD), None, None)  # type: ignore[arg-type]
    allowed, lacking = found
    assert allowed is None
    assert lacking is not None
    assert json.loads(lacking.body)["code"] == "insufficient_scope"
    assert dict(lacking.headers)[b"www-authenticate"].startswith(b'Bearer realm="shop"')
    unknown = missing_scopes(http(linqi=ANONYMOUS), "admin")
    assert unknown is not None
    assert (unknown.status, json.loads(unknown.body)) == (401, {"error": "unauthorized"})
    with pytest.raises(ConfigurationError):
        missing_scopes(http())


async def test_a_framework_refuses_for_its_own_reason_in_the_format() -> None:
    """A user who is no more: 401 invalid_token, as the middleware would say it."""
    found: list[Refusal] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(refusal_for(scope, TokenRevoked("no such user"), "shop"))

    await guard(RefusalFormat("detail"), app)(http(token=GOOD), None, None)  # type: ignore[arg-type]
    (refusal,) = found
    assert (refusal.status, json.loads(refusal.body)["code"]) == (401, "invalid_token")
    assert b'realm="shop", error="invalid_token"' in dict(refusal.headers)[b"www-authenticate"]


async def test_head_gets_the_headers_without_the_body() -> None:
    """RFC 9110, section 9.3.2: the length is that of the GET."""
    get, head = [await refused(RefusalFormat("problem"), method=name) for name in ("GET", "HEAD")]
    assert get.headers == head.headers
    assert body_of(get)
    assert head.messages[1].get("body", b"") == b""


async def test_a_refused_websocket_has_the_same_body() -> None:
    """Where the server supports denial responses; else a close, as ever."""
    socket = http(token=EXPIRED, headers=CHINESE, type="websocket", subprotocols=[])
    del socket["method"]
    app = guard(RefusalFormat("envelope"))
    denied = await call(app, socket | {"extensions": {"websocket.http.response": {}}})
    start, body = denied.messages
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["msg"] == "访问令牌已过期"
    assert denied.header("content-length") == str(len(body["body"]))
    assert denied.header("www-authenticate")
    closed = await call(app, socket)
    assert closed.messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_on_refusal_is_told_the_facts_and_never_the_token() -> None:
    """The code that the log has is among them; the response shows what the function returns."""
    told: list[RefusalFacts] = []

    def on_refusal(facts: RefusalFacts) -> Mapping[str, Any]:
        told.append(facts)
        return {"oops": facts.text}

    verifier = verifier_of(KEY, is_revoked=lambda _: True)
    app = guard(RefusalFormat("problem", on_refusal=on_refusal), verifier=verifier)
    answer = await call(app, http("/orders/1", token=GOOD, headers=CHINESE))
    assert json_of(answer) == {"oops": "访问令牌无效"}
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("vary") == "accept-language"
    assert told == [
        RefusalFacts(
            status=401,
            error="invalid_token",
            code="invalid_token",
            cause=TokenRevoked.code,
            hint="The access token is invalid",
            text="访问令牌无效",
            scopes=(),
            path="/orders/1",
            language="zh-CN",
        )
    ]
    assert GOOD not in repr(told)


async def test_on_refusal_may_return_bytes_or_leave_it_to_the_style() -> None:
    """A page of HTML for one path, the style for the rest."""

    def on_refusal(facts: RefusalFacts) -> tuple[bytes, str] | None:
        return (b"<p>no</p>", "text/html; charset=utf-8") if facts.path == "/page" else None

    app = guard(RefusalFormat(on_refusal=on_refusal))
    page = await call(app, http("/page"))
    assert (page.header("content-type"), body_of(page)) == (
        "text/html; charset=utf-8",
        b"<p>no</p>",
    )
    assert page.header("www-authenticate") == 'Bearer realm="api"'
    assert json_of(await call(app, http("/me"))) == {"error": "unauthorized"}


def raising(_: RefusalFacts) -> Any:
    """Raise, as a fault of the application does."""
    raise KeyError("no such text")


async def coroutine() -> dict[str, str]:
    """Return a body too late."""
    return {}


@pytest.mark.parametrize(
    ("faulty", "detail"),
    [
        (raising, "raised KeyError"),
        (lambda _: 7, "returned int"),
        (lambda _: "text", "returned str"),
        (lambda _: (b"x", "a\r\nb"), "returned tuple"),
        (lambda _: (b"x", "é/é"), "returned tuple"),
        (lambda _: (b"x", "html"), "returned tuple"),
        (lambda _: ("x", "text/plain"), "returned tuple"),
        (lambda _: {"a": object()}, "returned what JSON cannot hold"),
        (lambda _: {"a": "\ud800"}, "returned what JSON cannot hold"),
        (lambda _: coroutine(), "returned coroutine"),
    ],
)
async def test_a_fault_of_on_refusal_is_no_500(
    faulty: Callable[[RefusalFacts], Any], detail: str
) -> None:
    """The body of the style goes out, and an event tells."""
    heard: list[Any] = []
    chosen = RefusalFormat("envelope", on_refusal=faulty)
    answer = await call(guard(chosen, hooks=[heard.append]), http("/x", token=EXPIRED))
    assert (answer.status, json_of(answer)["code"]) == (401, "token_expired")
    refused, failed = heard
    assert isinstance(refused, TokenRefused)
    assert isinstance(failed, RefusalBodyFailed)
    assert failed.detail.startswith(detail)
    assert (failed.code, failed.path) == ("token_expired", "/x")


async def test_a_flood_of_faults_is_no_flood_of_tracebacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The 1st, 2nd, 4th and 8th of ten faults have their traceback in the log."""
    app = guard(RefusalFormat(on_refusal=raising), hooks=[LoggingHook()])
    with caplog.at_level(logging.ERROR):
        for _ in range(10):
            await call(app, http())
    lines = [record.getMessage() for record in caplog.records]
    assert sum("Traceback" in line for line in lines) == 4
    assert sum("the default body was sent" in line for line in lines) == 10


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"style": "xml"}, "style is 'xml'"),
        ({"language": "fr"}, "language is 'fr', expected one of en, zh-CN"),
        ({"language": 1}, "language is 1"),
        ({"negotiate": "no"}, "negotiate"),
        ({"texts": {"zh_CN": {}}}, "texts has 'zh_CN'"),
        ({"texts": []}, "texts is no mapping"),
        ({"texts": {"de": "x"}}, "texts of 'de' is no mapping"),
        ({"texts": {"de": {"token_expird": "x"}}}, "did you mean token_expired?"),
        ({"texts": {"de": {"no_token": ""}}}, "of 1 to 500 characters"),
        ({"texts": {"de": {"no_token": "a\nb"}}}, "not printable"),
        ({"texts": {"de": {}, "DE": {}}}, "twice"),
        ({"style": "rfc6750", "texts": {"de": {}}}, "no effect"),
        ({"style": "detail", "type_base": "https://x/"}, "type_base has no effect"),
        ({"style": "problem", "type_base": "a b"}, "type_base is 'a b'"),
        ({"style": "problem", "numbers": {"no_token": 1}}, "numbers have no effect"),
        ({"numbers": {"no_token": True}}, "no integer"),
        ({"numbers": {"no_token": 2**53}}, "no integer"),
        ({"numbers": 7}, "numbers is no mapping"),
        ({"numbers": {7: 7}}, "unknown code 7"),
        ({"on_refusal": 7}, "on_refusal is no function"),
        ({"on_refusal": coroutine}, "coroutine function"),
    ],
)
def test_a_wrong_format_is_refused_at_construction(options: dict[str, Any], fault: str) -> None:
    """Nothing waits for the first refused request."""
    with pytest.raises(ConfigurationError) as found:
        RefusalFormat(**{"style": "envelope"} | options)
    assert fault in str(found.value)


def test_the_middleware_takes_nothing_but_a_format() -> None:
    """A string would be a format that is never checked."""
    with pytest.raises(ConfigurationError, match="RefusalFormat"):
        guard("problem")  # type: ignore[arg-type]


async def test_made_up_scopes_do_not_fill_the_memory() -> None:
    """An application that asks for ever new scopes keeps a bounded number of bodies."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    await guard(RefusalFormat("problem"), app)(http(token=GOOD), None, None)  # type: ignore[arg-type]
    for number in range(1500):
        refusal = missing_scopes(scopes[0], f"order:{number}")
        assert refusal is not None
        assert json.loads(refusal.body)["scope"] == f"order:{number}"
    assert len(scopes[0][WRITER]._bodies) <= 1024


def read_format(**http: Any) -> None:
    """Read a linqi.toml whose table [http] has these keys."""
    read({"http": http})


@pytest.mark.parametrize(
    ("http_table", "key"),
    [
        ({"refusal_format": "problem", "refusal_texts": {"de": {"nope": "x"}}}, "refusal_texts"),
        ({"refusal_texts": {"de": {"no_token": "x"}}}, "refusal_texts"),
        ({"refusal_format": "detail", "refusal_numbers": {"no_token": 1}}, "refusal_numbers"),
        ({"refusal_format": "envelope", "refusal_numbers": {"nope": 1}}, "refusal_numbers"),
        ({"refusal_language": "fr"}, "refusal_language"),
        ({"refusal_type_base": "urn:e:"}, "refusal_type_base"),
        ({"refusal_texts": {"de": 7}}, "refusal_texts"),
        ({"refusal_numbers": {"no_token": True}}, "refusal_numbers"),
    ],
)
def test_a_fault_of_the_file_names_its_key(http_table: dict[str, Any], key: str) -> None:
    """`linqi check` leads to the line."""
    with pytest.raises(InvalidConfig) as found:
        read_format(**http_table)
    assert [fault.key for fault in found.value.details] == [key]


async def test_a_file_and_a_function_make_one_format(tmp_path: Path) -> None:
    """`on_refusal` stands beside the keys of linqi.toml."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    raw = {
        "verify": {"issuer": "https://a.test", "audience": "a"},
        "keys": {"file": "keys.json"},
        "http": {"refusal_format": "envelope", "refusal_texts": {"zh-CN": {"no_token": "登录"}}},
    }
    config = read(raw, folder=tmp_path)
    app = wrap(App(), build(config, on_refusal=lambda facts: {"msg": facts.text}, hooks=()))
    assert json_of(await call(app, http(headers=CHINESE))) == {"msg": "登录"}
