"""The doors of Litestar, Quart and Django where something is missing, wrong or hostile."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import django
import fastapi
import litestar
import pytest
import quart
from litestar.config.cors import CORSConfig
from litestar.testing import AsyncTestClient

from asgi import Answer, call, http
from linqi import ANONYMOUS, ConfigurationError, JWTMiddleware, Key, Verified
from linqi.asgi.challenges import ChallengeWriter
from linqi.asgi.refusals import WRITER
from linqi.errors import Unavailable
from linqi.fastapi import requires as fastapi_requires
from linqi.jose.verified import Origin
from linqi.litestar import LinqiPlugin
from linqi.litestar import current as litestar_current
from linqi.litestar import requires as litestar_requires
from linqi.quart import current, protect, user
from linqi.quart import requires as quart_requires
from tokens import good_claims, make, verifier_of

KEY = Key.generate("ES256")
TOKEN = make(KEY, good_claims())
METADATA = "https://api.example/.well-known/oauth-protected-resource"


def around(inner: Any, marked: Any) -> JWTMiddleware:
    """Return the middleware of these tests."""
    return JWTMiddleware(inner, verifier_of(KEY), marked=marked, hooks=[])


async def _load_user(verified: Verified) -> Any:
    """Return a user, none, or the error of a database that is away."""
    if verified.subject == "away":
        raise Unavailable("the database is away", retry_after=7)
    return None if verified.subject == "gone" else verified.identity


@litestar.get("/open")
async def _open() -> str:
    return "open"


def litestar_app(*handlers: Any, **options: Any) -> litestar.Litestar:
    """Return a guarded Litestar application."""
    plugin = LinqiPlugin(around=around, load_user=_load_user)
    return litestar.Litestar([_open, *handlers], plugins=[plugin], **options)


async def test_every_path_of_litestar_is_guarded_within_cors() -> None:
    """A path that does not exist and a wrong method too; scripts can read the refusal."""
    app = litestar_app(cors_config=CORSConfig(allow_origins=["https://a.example"]))
    origin = [(b"origin", b"https://a.example")]
    for path, method in (("/open", "GET"), ("/nope", "GET"), ("/open", "PUT"), ("/", "GET")):
        answer = await call(app, http(path, method=method, headers=origin))
        assert answer.status == 401
        assert answer.header("access-control-allow-origin") == "https://a.example"
    assert (await call(app, http("/nope", token=TOKEN))).status == 404
    assert (await call(app, http("/open", token=TOKEN, method="PUT"))).status == 405


async def test_a_plugin_of_litestar_serves_one_application() -> None:
    """A second one would be served by the routes of the first."""
    plugin = LinqiPlugin(around=around)
    litestar.Litestar([_open], plugins=[plugin])
    with pytest.raises(ConfigurationError, match="one Litestar"):
        litestar.Litestar([_open], plugins=[plugin])


async def test_a_router_that_litestar_passes_by_is_no_open_door() -> None:
    """If a release did not ask the guarded router, every route would answer 500, not 200."""
    app = litestar_app()
    app.asgi_handler = app.asgi_router._router
    answer = Answer()
    with pytest.raises(ConfigurationError, match="JWTMiddleware is not around"):
        await app(http("/open"), call, answer.send)  # type: ignore[arg-type]


async def test_dependencies_of_litestar_without_the_plugin_say_so() -> None:
    """The current user is never an anonymous one there."""

    @litestar.get("/me", dependencies={"current": litestar.di.Provide(litestar_current)})
    async def me(current: litestar.di.NamedDependency[Verified]) -> str:
        return current.identity

    with mock.patch.dict("os.environ", {"LITESTAR_DEBUG": "0"}):
        app = litestar.Litestar([me], openapi_config=None, logging_config=None)
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        assert (await client.get("/me")).status_code == 500


@pytest.mark.parametrize(("subject", "status"), [("alice", 200), ("gone", 401), ("away", 503)])
async def test_the_user_of_a_token_may_be_gone_or_unknown_now(subject: str, status: int) -> None:
    """401 `invalid_token` without a user, 503 with Retry-After while the database is away."""

    @litestar.get("/me")
    async def me(user: litestar.di.NamedDependency[str]) -> str:
        return user

    app = quart.Quart("shop", static_folder=None)

    @app.get("/me")
    async def quart_me() -> Any:
        return await user()

    protect(app, around=around, load_user=_load_user)
    token = make(KEY, good_claims(sub=subject))
    for one in (litestar_app(me), app):
        answer = await _ask(one, http("/me", token=token))
        assert answer.status == status
        if status == 401:
            assert 'error="invalid_token"' in (answer.header("www-authenticate") or "")
        if status == 503:
            assert answer.header("retry-after") == "7"


async def _ask(app: Any, scope: dict[str, Any]) -> Answer:
    """Ask an application that waits for the disconnect of its client."""
    import asyncio

    answer = Answer()
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if requests:
            return requests.pop()
        return await asyncio.get_running_loop().create_future()

    await app({"http_version": "1.1", "scheme": "http", **scope}, receive, answer.send)
    return answer


async def test_quart_without_the_middleware_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """`current()` and `@requires` fail; nothing is served as anonymous."""
    app = quart.Quart("shop", static_folder=None)

    @app.get("/me")
    async def me() -> str:
        return current().identity

    @app.get("/orders")
    @quart_requires("orders:read")
    async def orders() -> str:
        return "orders"

    for path in ("/me", "/orders"):
        assert (await app.test_client().get(path)).status_code == 500
    assert caplog.text.count("JWTMiddleware is not around") == 2


def test_an_application_is_protected_once() -> None:
    """Two guards would look for two tokens."""
    app = quart.Quart("shop")
    protect(app, around=around)
    with pytest.raises(ConfigurationError, match="twice"):
        protect(app, around=around)


@litestar.get("/x", guards=[litestar_requires("admin")])
async def _litestar_admin() -> None: ...


async def test_the_refusals_of_frameworks_name_the_metadata() -> None:
    """A missing scope is found inside of the framework, whose response keeps the challenge (H9)."""
    quart_app, fast = quart.Quart("shop", static_folder=None), fastapi.FastAPI()

    @quart_app.get("/x")
    @quart_requires("admin")
    async def quart_admin() -> str:
        return "admin"

    @fast.get("/x", dependencies=[fastapi.Depends(fastapi_requires("admin"))])
    async def fast_admin() -> None: ...

    def around(inner: Any, marked: Any) -> JWTMiddleware:
        options: Any = {"marked": marked, "resource_metadata": METADATA, "hooks": []}
        return JWTMiddleware(inner, verifier_of(KEY), **options)

    protect(quart_app, around=around)
    plugin = LinqiPlugin(around=around)
    for app in (
        quart_app,
        litestar.Litestar([_litestar_admin], plugins=[plugin]),
        around(fast, None),
    ):
        answer = await _ask(app, http("/x", token=TOKEN))
        assert answer.status == 403
        assert (answer.header("www-authenticate") or "").endswith(
            f'scope="admin", resource_metadata="{METADATA}"'
        )


@pytest.mark.parametrize("requires", [litestar_requires, quart_requires])
@pytest.mark.parametrize("scopes", [(), ("two words",), ('a"b',)])
def test_scopes_that_are_none_are_refused_where_they_are_written(
    requires: Any, scopes: tuple[str, ...]
) -> None:
    """A misspelt scope would refuse every caller."""
    with pytest.raises(ConfigurationError, match="scope names"):
        requires(*scopes)


@contextlib.contextmanager
def django_settings(**settings: Any) -> Iterator[None]:
    """Configure Django for a test."""
    from django.conf import settings as configured
    from django.test.utils import override_settings

    if not configured.configured:
        configured.configure(ROOT_URLCONF=(), USE_TZ=True)
        django.setup()
    with override_settings(**settings):
        yield


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"LOAD_USR": "x.y"}, "LOAD_USR"),
        ({"PERMISSIONS": ["x"]}, "PERMISSIONS"),
        ({"USER_FIELD": 1}, "USER_FIELD"),
        ({"LOAD_USER": 1}, "LOAD_USER"),
        (["x"], "not a dictionary"),
    ],
)
def test_a_wrong_setting_of_django_stops_the_start(given: Any, said: str) -> None:
    """It is told when the middleware is made."""
    from django.core.exceptions import ImproperlyConfigured

    from linqi.django import LinqiMiddleware

    with django_settings(LINQI=given), pytest.raises(ImproperlyConfigured, match=said):
        LinqiMiddleware(lambda request: None)


@pytest.mark.parametrize(
    ("headers", "is_exempt"),
    [
        ([(b"authorization", b"Bearer " + TOKEN.encode())], True),
        ([(b"cookie", b"access=" + TOKEN.encode())], False),
        ([(b"authorization", b"Basic eDp5"), (b"cookie", b"access=" + TOKEN.encode())], False),
    ],
)
def test_only_a_token_in_the_header_needs_no_csrf_token(headers: Any, is_exempt: bool) -> None:
    """A browser sends a cookie by itself; another site cannot make it send the header."""
    from django.core.handlers.asgi import ASGIRequest

    from linqi.django import LinqiMiddleware

    with django_settings():
        verified = verifier_of(KEY).verify(TOKEN)
        scope = http("/", method="POST", headers=headers) | {"linqi": verified}
        request = ASGIRequest(scope, mock.Mock())
        LinqiMiddleware(lambda request: None)(request)
    assert getattr(request, "_dont_enforce_csrf_checks", False) is is_exempt


def test_a_user_of_an_outside_issuer_needs_a_function_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its subject is not a primary key, so the user is anonymous: said once, with the remedy."""
    from django.core.handlers.asgi import ASGIRequest

    from linqi.django import LinqiMiddleware

    issuer = "https://said-once.example"
    verified = Verified(Origin(issuer, "ES256", "k", False), 2e9, None, 0, (), b'{"sub":"1"}', b"")
    with django_settings(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"]):
        middleware = LinqiMiddleware(lambda request: request.user.is_authenticated)
        for _ in range(2):
            request = ASGIRequest(http("/") | {"linqi": verified}, mock.Mock())
            assert middleware(request) is False
    (said,) = [r.getMessage() for r in caplog.records if "LOAD_USER" in r.getMessage()]
    assert f"issuer={issuer}" in said


@pytest.mark.parametrize(
    ("scopes", "status", "said"),
    [
        ("orders:read", 200, None),
        (
            "other",
            403,
            f'error="insufficient_scope", scope="orders:read", resource_metadata="{METADATA}"',
        ),
        (None, 401, f'Bearer realm="api", resource_metadata="{METADATA}"'),
    ],
)
def test_a_view_of_rest_framework_reads_the_scopes(
    scopes: str | None, status: int, said: str | None
) -> None:
    """401 and 403 carry the challenge, complete (H9); `request.auth` is the token."""
    from types import SimpleNamespace

    from django.core.handlers.asgi import ASGIRequest

    framework = {"UNAUTHENTICATED_USER": None}
    with django_settings(REST_FRAMEWORK=framework):
        from rest_framework.renderers import JSONRenderer
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from linqi.django.rest import LinqiAuthentication, has_scopes

        class Orders(APIView):  # type: ignore[misc]
            authentication_classes = (LinqiAuthentication,)
            permission_classes = (has_scopes("orders:read"),)
            renderer_classes = (JSONRenderer,)

            def get(self, request: Any) -> Response:
                return Response({"subject": request.auth.subject})

        token = None if scopes is None else make(KEY, good_claims(scope=scopes))
        who = ANONYMOUS if token is None else verifier_of(KEY).verify(token)
        writer = ChallengeWriter(METADATA, None)
        request = ASGIRequest(http("/") | {"linqi": who, WRITER: writer}, mock.Mock())
        request.user = SimpleNamespace(is_authenticated=True)
        response = Orders.as_view()(request)
    assert response.status_code == status
    if said is None:
        assert response.data == {"subject": "alice"}
    else:
        assert said in response.headers["WWW-Authenticate"]
