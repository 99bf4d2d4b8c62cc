"""Marks on views, and that no mark opens another route of a framework than its own."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import django
import litestar
import pytest
import quart
import werkzeug.exceptions
import werkzeug.routing
from django.conf import settings
from django.test import override_settings
from django.urls import Resolver404, get_resolver, include, path, re_path, register_converter
from django.utils.decorators import method_decorator
from django.utils.functional import lazy
from django.views import View
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from asgi import http
from linqi import ConfigurationError
from linqi.asgi._http import Access
from linqi.asgi.route_marks import access_of, mark_scopes, optional, public, scopes_of
from linqi.asgi.route_table import RouteTable
from linqi.django.routes import marked_routes as django_routes
from linqi.litestar import LinqiPlugin
from linqi.litestar.routes import marked_routes as litestar_routes
from linqi.quart.routes import marked_routes as quart_routes

if not settings.configured:
    settings.configure(ROOT_URLCONF=(), USE_TZ=True)
    django.setup()

WORDS = ("a", "b", "7")
SEGMENTS = st.sampled_from([*WORDS, "int", "str", "path"])
# Each route: its segments, whether it is public, and its method.
ROUTES = st.lists(
    st.tuples(
        st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from(["GET", "POST"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda one: (one[0], one[2]),
)
PATHS = ["/" + "/".join(parts) for parts in [("a",), ("7",), ("c",)]]
PATHS += [f"/{x}/{y}" for x in (*WORDS, "c") for y in (*WORDS, "c")]
PATHS += [f"/{x}/{y}/{z}" for x in ("a", "7") for y in ("b", "7", "c") for z in ("a", "7", "c")]
PATHS += ["/a/b/7/c", "/a/", "/7/b/"]


def opened(rules: tuple[Sequence[Any], Sequence[str]]) -> Callable[[str, str], bool]:
    """Return whether a path is served without a token, by a table of `rules`."""
    table = RouteTable(lambda: (rules[0], []))  # what has a fault is guarded
    return lambda path, method: table.access(http(path, method=method)) is Access.PUBLIC


def template(segments: Sequence[str], forms: dict[str, str]) -> str:
    """Return a path whose parameters are written in a framework's form."""
    return "/".join(forms.get(one, one).format(place) for place, one in enumerate(segments))


async def _nothing() -> None: ...


PUBLIC_VIEW = public(lambda r, **_: None)


@examples(max_examples=25)
@given(ROUTES)
def test_no_mark_of_litestar_opens_another_route(routes: Any) -> None:
    """Whatever handler Litestar takes for an opened path, it is one that is marked."""
    forms = {"int": "{{p{}:int}}", "str": "{{p{}:str}}", "path": "{{p{}:path}}"}
    handlers: list[Any] = []
    for segments, is_public, method in routes:
        if "path" in segments[:-1]:
            continue
        make = litestar.get if method == "GET" else litestar.post
        made = make(f"/{template(segments, forms)}", public=is_public)

        async def handler() -> None: ...

        handlers.append(made(handler))
    app = litestar.Litestar(handlers, openapi_config=None)
    is_open = opened(litestar_routes(app))
    for path_ in PATHS:
        for method in ("GET", "POST"):
            try:
                found = app.asgi_router.handle_routing(path=path_.rstrip("/"), method=method)[1]
            except HTTPException:
                continue
            if is_open(path_, method):
                assert found.opt.get("public") is True, (path_, method, routes)


def test_a_slash_at_the_end_leads_litestar_to_the_same_route() -> None:
    """Litestar serves ``/admin/`` by the guarded ``/admin``, not by a public route of any path."""

    @litestar.get("/admin")
    async def admin() -> str:
        return "secret"

    @litestar.get("/{rest:path}", public=True)
    async def anything(rest: FromPath[str]) -> str:
        return rest

    @litestar.get("/news", public=True)
    async def news() -> str:
        return "news"

    is_open = opened(litestar_routes(litestar.Litestar([admin, anything, news])))
    asked = ("/admin", "/admin/", "/news", "/news/", "/other", "/other/")
    assert [is_open(one, "GET") for one in asked] == [False, False, True, True, True, True]


def test_a_route_that_an_endless_one_hides_is_named() -> None:
    """Litestar serves ``/x/list`` by the guarded ``/{name:str}``, once a POST takes all below."""

    @litestar.get("/{name:str}")
    async def one(name: FromPath[str]) -> str:
        return name

    @litestar.get("/{number:int}/list", public=True)
    async def listed(number: FromPath[int]) -> str:
        return "list"

    @litestar.post("/{rest:path}")
    async def upload(rest: FromPath[str]) -> None: ...

    app = litestar.Litestar([one, listed, upload])
    faults = litestar_routes(app)[1]
    assert len(faults) == 1
    assert "/{number:int}/list is never reached: Litestar serves its paths by" in faults[0]
    assert not opened(litestar_routes(app))("/x/list", "GET")


@examples(max_examples=25)
@given(ROUTES)
def test_no_mark_of_quart_opens_another_route(routes: Any) -> None:
    """Whatever rule werkzeug takes for an opened path, its view is one that is marked."""
    forms = {"int": "<int:p{}>", "str": "<p{}>", "path": "<path:p{}>"}
    app = quart.Quart("shop", static_folder=None)
    for place, (segments, is_public, method) in enumerate(routes):

        async def view(**_: Any) -> str:
            return ""

        app.add_url_rule(
            f"/{template(segments, forms)}",
            f"view{place}",
            public(view) if is_public else view,
            methods=[method],
        )
    is_open = opened(quart_routes(app))
    adapter = app.url_map.bind("shop.test")
    for path_ in PATHS:
        for method in ("GET", "POST"):
            try:
                endpoint, _ = adapter.match(path_, method)
            except (
                werkzeug.exceptions.HTTPException,
                werkzeug.routing.RequestRedirect,
                ValueError,
            ):
                continue
            view = app.view_functions[endpoint]
            if is_open(path_, method):
                assert access_of(view)[0] is Access.PUBLIC, (path_, method, routes)


@examples(max_examples=25)
@given(ROUTES)
def test_no_mark_of_django_opens_another_view(routes: Any) -> None:
    """Whatever view Django takes for an opened path, it is one that is marked."""
    forms = {"int": "<int:p{}>", "str": "<str:p{}>", "path": "<path:p{}>"}
    patterns = []
    for segments, is_public, _ in routes:

        def view(request: Any, **_: Any) -> None: ...

        patterns.append(path(template(segments, forms), public(view) if is_public else view))
    is_open = opened(django_routes(tuple(patterns)))
    resolver = get_resolver(tuple(patterns))
    for path_ in PATHS:
        try:
            found = resolver.resolve(path_).func
        except Resolver404:
            continue
        if is_open(path_, "GET"):
            assert access_of(found)[0] is Access.PUBLIC, (path_, routes)


def test_a_number_that_django_cannot_convert_stays_guarded() -> None:
    """Python refuses 5,000 digits, and Django goes on to the next view, which is guarded."""
    patterns = (path("items/<int:p>", public(lambda r, p: None)), path("items/<str:p>", _nothing))
    is_open = opened(django_routes(patterns))
    assert is_open("/items/7", "GET")
    assert not is_open("/items/" + "7" * 5000, "GET")


def test_a_mark_of_django_opens_no_websocket() -> None:
    """Consumers of Channels may have the path of a view."""
    table = RouteTable(lambda: django_routes((path("chat", public(lambda r: None)),)))
    assert table.access(http("/chat")) is Access.PUBLIC
    socket = {name: value for name, value in http("/chat").items() if name != "method"}
    assert table.access(socket | {"type": "websocket"}) is Access.GUARDED


class _Even:
    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        if int(value) % 2:
            raise ValueError("odd")
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(_Even, "even_of_linqi")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (path("<even_of_linqi:p>", public(lambda r, p: None)), "converter of its own"),
        (re_path("shop/", public(lambda r: None)), "not bound by"),
        (re_path("^(?i:shop)$", public(lambda r: None)), "flags or references"),
        (path("x", public(optional(lambda r: None))), "public and optional"),
    ],
)
def test_a_mark_that_django_could_read_otherwise_is_a_fault(pattern: Any, said: str) -> None:
    """It is told at construction, and the view stays guarded."""
    with pytest.raises(ConfigurationError, match=said):
        RouteTable(lambda: django_routes((pattern,)))
    (rule,) = django_routes((pattern,))[0]
    assert rule.access is Access.GUARDED


@pytest.mark.parametrize(
    ("prefix", "below", "path_"),
    [
        (path("<str:x>", include([path("admin", PUBLIC_VIEW)])), "<str:p>", "/xadmin"),
        (path("<path:x>/", include([path("edit/", PUBLIC_VIEW)])), "<str:p>/edit/", "/q/edit/"),
        (re_path("^(?:a|ab)", include([path("c", PUBLIC_VIEW)])), "<str:p>", "/abc"),
        (path("<int:x>", include([path("7", PUBLIC_VIEW)])), "<str:p>", "/" + "7" * 19),
    ],
)
def test_a_prefix_of_django_is_read_once(prefix: Any, below: str, path_: str) -> None:
    """Django tries no shorter prefix, and serves the guarded view after it."""
    patterns = (prefix, path(below, _nothing))
    assert get_resolver(patterns).resolve(path_).func is _nothing
    assert not opened(django_routes(patterns))(path_, "GET")


def test_a_translated_path_of_django_hides_what_comes_after_it() -> None:
    """Its text depends on the language of the request; a mark on it is a fault."""
    text = lazy(lambda: "account/", str)()
    patterns = (path(text, _nothing), path("<slug:p>/", PUBLIC_VIEW))
    assert not opened(django_routes(patterns))("/konto/", "GET")
    assert "translated" in django_routes((path(text, PUBLIC_VIEW),))[1][0]


def test_a_view_of_django_inherits_no_mark_of_dispatch() -> None:
    """A subclass of a public view is another view."""

    class Home(View): ...

    class Admin(Home): ...

    method_decorator(public, name="dispatch")(Home)
    patterns = (path("home", Home.as_view()), path("admin", Admin.as_view()))
    rules, faults = django_routes(patterns)
    assert [rule.access for rule in rules] == [Access.PUBLIC, Access.GUARDED]
    assert "inherits the mark" in faults[0]


def test_marks_of_django_and_a_forced_script_name_are_a_fault() -> None:
    """Django takes it off each path, and the guard does not see that."""
    with override_settings(FORCE_SCRIPT_NAME="/api"):
        assert "FORCE_SCRIPT_NAME" in django_routes((path("a", PUBLIC_VIEW),))[1][0]


def test_a_guarded_method_that_litestar_gets_while_serving_is_followed() -> None:
    """The path was there already, with another method."""

    @litestar.post("/items/admin")
    async def change() -> None: ...

    @litestar.get("/items/{name:str}", public=True)
    async def show(name: FromPath[str]) -> None: ...

    @litestar.get("/items/admin")
    async def admin() -> None: ...

    tables: list[RouteTable] = []

    def around(inner: Any, marked: RouteTable) -> Any:
        tables.append(marked)
        return inner

    app = litestar.Litestar([change, show], plugins=[LinqiPlugin(around=around)])
    (table,) = tables
    assert table.access(http("/items/admin")) is Access.PUBLIC
    app.register(admin)
    assert table.access(http("/items/admin")) is Access.GUARDED


@pytest.mark.parametrize("option", ["host_matching", "subdomain_matching"])
def test_a_mark_of_quart_whose_hosts_are_matched_is_a_fault(option: str) -> None:
    """Another host may have another view at the same path."""
    app = quart.Quart("shop", static_folder=None, **{option: True})
    app.add_url_rule("/x", "x", PUBLIC_VIEW, host="a.test" if option == "host_matching" else None)
    (rule,), (fault,) = quart_routes(app)
    assert rule.access is Access.GUARDED
    assert option in fault


def test_a_bound_regular_expression_of_django_is_opened() -> None:
    """Its groups and alternatives are those of the pattern."""
    view = public(lambda r, **_: None)
    is_open = opened(django_routes((re_path(r"^a/(?P<n>[0-9]|x)$", view), path("b", _nothing))))
    assert is_open("/a/7", "GET")
    assert is_open("/a/x", "GET")
    assert not is_open("/a/77", "GET")


def test_a_public_route_of_litestar_that_only_differs_in_parameters_is_a_fault() -> None:
    """Litestar keeps ``/{id:int}`` and ``/{name:str}`` in one place: the last one is served."""
    made = litestar.get("/x/{p:int}", public=True)(_numbered)
    app = litestar.Litestar([made, litestar.get("/x/{q:str}")(_named)], openapi_config=None)
    with pytest.raises(ConfigurationError, match="differs only in its parameters"):
        RouteTable(lambda: litestar_routes(app))


async def _numbered(p: FromPath[int]) -> None: ...


async def _named(q: FromPath[str]) -> None: ...


@pytest.mark.parametrize("mark", [{"public": "yes"}, {"public": True, "optional": True}])
def test_a_wrong_mark_of_litestar_is_a_fault(mark: dict[str, Any]) -> None:
    """`public` is True or False, and not beside `optional`."""
    made = litestar.get("/x", opt=mark)(_nothing)
    app = litestar.Litestar([made], openapi_config=None)
    with pytest.raises(ConfigurationError, match=re.escape("/x")):
        RouteTable(lambda: litestar_routes(app))


def test_a_view_that_is_public_and_requires_scopes_is_a_fault() -> None:
    """One of the two is a mistake; the view stays guarded."""
    view = public(lambda: None)
    mark_scopes(view, ("orders:read",))
    assert scopes_of(view) == ("orders:read",)
    access, fault = access_of(view)
    assert access is Access.GUARDED
    assert fault is not None


def test_marks_are_not_inherited_and_need_an_object_that_takes_them() -> None:
    """A subclass of a public view is guarded; a bound method cannot be marked."""

    @public
    class View:
        def get(self) -> None: ...

    class Admin(View): ...

    assert access_of(View)[0] is Access.PUBLIC
    assert access_of(Admin)[0] is Access.GUARDED
    with pytest.raises(ConfigurationError, match="takes no mark"):
        public(View().get)
