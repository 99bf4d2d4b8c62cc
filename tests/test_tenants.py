"""Issuers with many tenants: one template, one key set, and a list or a function that decides."""

import tracemalloc
from collections.abc import Callable, Collection
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import App, call, http
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    KeySet,
    RemoteKeys,
    TrustedIssuer,
    VerifiedCache,
    Verifier,
    _base64url,
)
from linqi.errors import (
    InvalidClaim,
    InvalidSignature,
    MissingClaim,
    TokenError,
    Unavailable,
    UnknownIssuer,
)
from linqi.jose.issuer_template import is_tenant, template_of
from linqi.jose.tenants import _MOST_TENANTS
from tokens import AUDIENCE, NOW, good_claims, make

TEMPLATE = "https://login.microsoftonline.com/{tid}/v2.0"
A, B, C = (f"{n}d5c0c1e-6c0d-4c3f-9d56-2f6f1f1d0a11" for n in "abc")
KEY = Key.generate("ES256", kid="common")


def issuer_of(tenant: str) -> str:
    """Return the `iss` of a tenant."""
    return TEMPLATE.replace("{tid}", tenant)


def trusted(
    tenants: Collection[str] | Callable[[str], bool] | None = (A, B),
    issuer: str = TEMPLATE,
    key: Key = KEY,
    **options: Any,
) -> TrustedIssuer:
    """Return an issuer with tenants."""
    return TrustedIssuer(
        issuer=issuer,
        audience=AUDIENCE,
        keys=options.pop("keys", KeySet([key])),
        algorithms=[key.alg],
        tenants=tenants,
        **options,
    )


def verifier_of(*issuers: TrustedIssuer, **options: Any) -> Verifier:
    """Return a verifier at `NOW`."""
    return Verifier(issuers or [trusted()], **{"clock": lambda: NOW} | options)


def token(tenant: str, key: Key = KEY, **changes: Any) -> str:
    """Return a token of a tenant."""
    return make(key, good_claims(**{"iss": issuer_of(tenant), "tid": tenant} | changes))


async def status(verifier: Verifier, text: str) -> int:
    """Return the status of one request."""
    return (await call(JWTMiddleware(App(), verifier, hooks=[]), http(token=text))).status


@pytest.mark.parametrize("cache", ["default", None])
async def test_the_tokens_of_listed_tenants_are_served(cache: Any) -> None:
    """Each is of its own concrete issuer, so the same subject of two tenants is two users."""
    verifier = verifier_of(cache=cache)
    for _ in range(3):
        found = [verifier.verify(token(tenant)) for tenant in (A, B)]
        assert [one.issuer for one in found] == [issuer_of(A), issuer_of(B)]
        assert [await status(verifier, token(tenant)) for tenant in (A, B, C)] == [200, 200, 401]


WRONG: dict[str, dict[str, Any]] = {
    "iss of A, tid of B": {"iss": issuer_of(A), "tid": B},
    "iss of B, tid of A": {"iss": issuer_of(B), "tid": A},
    "without tid": {"tid": ...},
    "tid in a list": {"tid": [A]},
    "tid in an object": {"tid": {"tid": A}},
    "tid null": {"tid": None},
    "tid in capitals": {"tid": A.upper()},
    "tid with a space": {"tid": A + " "},
    "iss in capitals": {"iss": issuer_of(A).upper()},
    "iss with another tenant behind": {"iss": issuer_of(A) + "/" + B + "/v2.0"},
    "iss with two tenants": {"iss": issuer_of(f"{B}/{A}"), "tid": f"{B}/{A}"},
    "iss in a list": {"iss": [issuer_of(A)]},
    "the template itself": {"iss": TEMPLATE, "tid": "{tid}"},
    "the template, tid of A": {"iss": TEMPLATE},
    "nested braces": {"iss": issuer_of("{{tid}}"), "tid": "{{tid}}"},
    "no tenant": {"iss": issuer_of(""), "tid": ""},
    "dots": {"iss": issuer_of(".."), "tid": ".."},
    "percent": {"iss": issuer_of("%61" + A[1:]), "tid": "%61" + A[1:]},
    "percent in iss only": {"iss": issuer_of("%61" + A[1:]), "tid": A},
    "cyrillic a": {"iss": issuer_of("\u0430" + A[1:]), "tid": "\u0430" + A[1:]},
    "cyrillic a in iss only": {"iss": issuer_of("\u0430" + A[1:]), "tid": A},
    "wide digits": {"iss": issuer_of(A.replace("1", "\uff11")), "tid": A},
    "newline": {"iss": issuer_of(A + "\n"), "tid": A + "\n"},
    "nul": {"iss": issuer_of(A + "\0"), "tid": A + "\0"},
    "http": {"iss": issuer_of(A).replace("https", "http")},
    "another host": {"iss": f"https://login.microsoftonline.com.evil.example/{A}/v2.0"},
    "a user in the host": {"iss": f"https://login.microsoftonline.com@evil.example/{A}/v2.0"},
    "too long": {"iss": issuer_of("a" * 129), "tid": "a" * 129},
}


@pytest.mark.parametrize("cache", ["default", None])
@pytest.mark.parametrize("decides", ["list", "function"])
@pytest.mark.parametrize("name", WRONG)
async def test_v6_a_confused_tenant_is_refused(name: str, decides: str, cache: Any) -> None:
    """By the real key: before and after good tokens of both tenants, first read and again."""
    tenants: Any = (A, B) if decides == "list" else lambda tenant: tenant in (A, B)
    verifier = verifier_of(trusted(tenants), cache=cache)
    bad, good = token(A, **WRONG[name]), [token(A), token(B)]
    for text in (bad, *good, bad, *good, bad):
        assert await status(verifier, text) == (200 if text in good else 401)


def test_what_is_wrong_is_said_exactly() -> None:
    """The errors tell a stranger, a missing claim and a contradiction apart."""
    verifier = verifier_of()
    for text, error in (
        (token(C), UnknownIssuer),
        (token(A, tid=...), MissingClaim),
        (token(A, tid=B), InvalidClaim),
        (token(A, Key.generate("ES256", kid="common")), InvalidSignature),
    ):
        with pytest.raises(error):
            verifier.verify(text)


def test_the_fast_decoder_never_learns_a_tenant() -> None:
    """A form learned from A would admit claims of A that name B: it is learned from neither."""
    exact = TrustedIssuer(
        issuer=issuer_of(C), audience=AUDIENCE, keys=KeySet([KEY]), algorithms=["ES256"]
    )
    verifier = verifier_of(trusted(), exact, cache=None)
    for _ in range(20):
        for tenant in (A, B, C):
            assert verifier.verify(token(tenant)).issuer == issuer_of(tenant)
        for wrong in (token(A, tid=B), token(B, tid=A), token(A, tid="")):
            with pytest.raises(InvalidClaim):
                verifier.verify(wrong)
    # The exact issuer has no claim that must be a tenant.
    assert verifier.verify(token(C, tid=A)).issuer == issuer_of(C)


def test_an_exact_entry_goes_before_the_template() -> None:
    """An issuer with an entry of its own is judged by that, also where the tenant is listed."""
    own = Key.generate("ES256", kid="common")
    exact = TrustedIssuer(
        issuer=issuer_of(A), audience=AUDIENCE, keys=KeySet([own]), algorithms=["ES256"]
    )
    verifier = verifier_of(trusted(), exact)
    assert verifier.verify(token(A, own)).issuer == issuer_of(A)
    assert verifier.verify(token(B)).issuer == issuer_of(B)
    for wrong in (token(A), token(B, own)):
        with pytest.raises(InvalidSignature):
            verifier.verify(wrong)


CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"


@pytest.mark.parametrize("cache", ["default", None])
def test_storm_0558_a_key_of_one_tenant_signs_for_no_other(cache: Any) -> None:
    """The member `issuer` of a key, as Microsoft publishes it, binds it to one tenant or to all."""
    every, consumer, strange = (Key.generate("ES256", kid=kid) for kid in ("every", "one", "odd"))
    named = [
        every.public_jwk() | {"issuer": TEMPLATE.replace("tid", "tenantid")},
        consumer.public_jwk() | {"issuer": issuer_of(CONSUMERS)},
        strange.public_jwk() | {"issuer": ["https://login.microsoftonline.com/{tid}/v2.0"]},
    ]
    keys = KeySet.from_jwks({"keys": named})
    verifier = verifier_of(trusted([A, B, CONSUMERS], keys=keys), cache=cache)
    for _ in range(2):
        for tenant in (A, B, CONSUMERS):
            assert verifier.verify(token(tenant, every)).key_id == "every"
            if tenant != CONSUMERS:
                with pytest.raises(InvalidSignature, match="another tenant"):
                    verifier.verify(token(tenant, consumer))
            with pytest.raises(InvalidSignature, match="another tenant"):
                verifier.verify(token(tenant, strange))
        assert verifier.verify(token(CONSUMERS, consumer)).key_id == "one"
    before = token(A, every)
    verifier.verify(before)
    bound = named[0] | {"issuer": issuer_of(B)}
    # The same keys, of which one is now of one tenant: no other change ends what is cached.
    keys.replace(KeySet.from_jwks({"keys": [bound, *named[1:]]}).keys)
    assert verifier.verify(token(B, every)).key_id == "every"
    for text in (before, token(A, every)):  # the first one was in the cache
        with pytest.raises(InvalidSignature, match="another tenant"):
            verifier.verify(text)


@pytest.mark.parametrize("cache", ["default", None])
def test_storm_0558_a_key_of_one_tenant_signs_for_no_other_issuer(cache: Any) -> None:
    """An API of one company may use the key set of all: a consumer's key is in it, too."""
    every, consumer, own = (Key.generate("ES256", kid=kid) for kid in ("every", "one", "own"))
    named = [
        every.public_jwk() | {"issuer": TEMPLATE.replace("tid", "tenantid")},
        consumer.public_jwk() | {"issuer": issuer_of(CONSUMERS)},
        own.public_jwk() | {"issuer": issuer_of(A)},
    ]
    entry = trusted(None, issuer_of(A), keys=KeySet.from_jwks({"keys": named}))
    verifier = verifier_of(entry, cache=cache)
    for _ in range(3):
        assert verifier.verify(token(A, every)).key_id == "every"
        assert verifier.verify(token(A, own)).key_id == "own"
        with pytest.raises(InvalidSignature, match="another tenant"):
            verifier.verify(token(A, consumer))


def test_the_issuer_of_a_key_is_kept_with_it() -> None:
    """Saved, halved and rotated keys say the same."""
    jwk = KEY.private_jwk() | {"issuer": TEMPLATE}
    key = Key.from_jwk(jwk)
    for other in (
        key,
        key.public_half(),
        key.with_tenure(signs_from=1, published_until=None),
        Key.from_jwk(key.private_jwk()),
        Key.from_jwk(key.public_jwk()),
    ):
        assert other.issuer == TEMPLATE
    assert "issuer" not in KEY.public_jwk()
    assert KEY.issuer is None


class Asked:
    """A function that decides, and counts."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.tenants: list[str] = []

    def __call__(self, tenant: str) -> bool:
        """Return or raise the answer."""
        self.tenants.append(tenant)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def test_the_function_is_asked_about_signed_tenants_only() -> None:
    """Who has no key of the issuer cannot make it run, so it may cost a query."""
    asked = Asked(True)
    verifier = verifier_of(trusted(asked))
    for forged in (
        token(A, Key.generate("ES256", kid="common")),
        token(A, tid=B),
        token(A, aud="x"),
    ):
        with pytest.raises(TokenError):
            verifier.verify(forged)
    assert asked.tenants == []
    verifier.verify(token(A))
    assert asked.tenants == [A]


async def test_a_removed_tenant_counts_until_its_tokens_leave_the_cache() -> None:
    """The function is asked for each token that is not cached; then its new answer counts."""
    seconds = [0.0]
    asked = Asked(True)
    cache = VerifiedCache(lifetime=60, monotonic=lambda: seconds[0])
    verifier = verifier_of(trusted(asked), cache=cache)
    text = token(A)
    assert [await status(verifier, text) for _ in range(3)] == [200] * 3
    asked.answer = False
    assert await status(verifier, text) == 200
    assert await status(verifier, token(A, jti="another")) == 401
    seconds[0] = 61.0
    assert await status(verifier, text) == 401


@pytest.mark.parametrize("answer", [None, 1, "yes", [A], object()])
async def test_an_answer_that_is_no_bool_refuses_and_is_logged(answer: Any, caplog: Any) -> None:
    """A function that forgot to return, or returned a row, lets no tenant in."""
    verifier = verifier_of(trusted(Asked(answer)))
    assert await status(verifier, token(A)) == 401
    assert f"tenants returned {type(answer).__name__}" in caplog.text


async def test_a_function_that_raises_is_503_and_logged(caplog: Any) -> None:
    """The tenant may count, so its users are not signed out."""
    asked = Asked(KeyError("no such table"))
    verifier = verifier_of(trusted(asked))
    assert await status(verifier, token(A)) == 503
    assert "KeyError" in caplog.text
    asked.answer = Unavailable("the database is down")
    with pytest.raises(Unavailable, match="the database is down"):
        verifier.verify(token(A))
    asked.answer = True
    assert await status(verifier, token(A)) == 200


@pytest.mark.parametrize("decides", ["list", "function"])
def test_made_up_tenants_take_no_memory_and_evict_none(decides: str) -> None:
    """2,000 of them by a wrong key leave what real tenants have; 100,000 in `make long-tests`."""
    flood(decides, 2_000)


@pytest.mark.long
@pytest.mark.parametrize("decides", ["list", "function"])
def test_100_000_made_up_tenants_take_no_memory(decides: str) -> None:
    """As above, in full."""
    flood(decides, 100_000)


def flood(decides: str, count: int) -> None:
    """Verify forged tokens of `count` tenants."""
    verifier = verifier_of(trusted((A, B) if decides == "list" else Asked(True)))
    verifier.verify(token(A))
    kept = verifier._trust._tenants
    assert kept is not None
    before = kept._kept[issuer_of(A)]
    header, _, signature = token(A).split(".")
    texts = [_payload(f"{n:08d}") for n in range(count)]
    refused = 0
    tracemalloc.start()
    try:
        for payload in texts:
            try:
                verifier.verify(f"{header}.{payload}.{signature}")
            except (UnknownIssuer, InvalidSignature):
                refused += 1
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
    assert refused == count
    assert kept._kept == {issuer_of(A): before}
    assert kept._kept[issuer_of(A)] is before


def _payload(tenant: str) -> str:
    claims = good_claims(iss=issuer_of(tenant), tid=tenant)
    return _base64url.encode(msgspec.json.encode(claims)).decode()


def test_the_memory_of_real_tenants_is_bounded() -> None:
    """More than are kept are all served; the oldest profiles are made again."""
    secret = Key.generate("HS256")
    verifier = verifier_of(trusted(Asked(True), key=secret), cache=None)
    for _ in range(2):
        for number in range(_MOST_TENANTS + 20):
            tenant = f"t{number}"
            assert verifier.verify(token(tenant, secret)).issuer == issuer_of(tenant)
    kept = verifier._trust._tenants
    assert kept is not None
    assert len(kept._kept) == _MOST_TENANTS


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tenants": None}, "does not say which tenants count"),
        ({"tenants": []}, "neither a non-empty list"),
        ({"tenants": A}, "neither a non-empty list"),
        ({"tenants": [A, "a/b"]}, "tenant 'a/b' is not"),
        ({"tenants": [".."]}, "tenant '..' is not"),
        ({"tenants": ["*"]}, "is not"),
        ({"tenants": ["a" * 129]}, "is not"),
        ({"tenants": [7]}, "is not"),
        ({"issuer": "https://id.example"}, "no placeholder"),
        ({"issuer": "https://{tid}/{tid}"}, "more than one"),
        ({"issuer": "https://{tid}.{region}.example"}, "more than one"),
        ({"issuer": "https://id.example/{{tid}}"}, "more than one"),
        ({"issuer": "https://id.example/{}"}, "no placeholder"),
        ({"issuer": "https://id.example/{tid"}, "no placeholder"),
        ({"issuer": "https://id.example/{tid}}"}, "more than one"),
        ({"issuer": "https://id.example/{t id}"}, "no placeholder"),
        ({"own": True}, "own issuer"),
    ],
)
def test_a_template_that_is_unclear_is_a_fault(changes: dict[str, Any], fault: str) -> None:
    """Found at construction: no default counts every tenant."""
    with pytest.raises(ConfigurationError, match=fault):
        trusted(**changes)


def test_an_async_function_is_a_fault() -> None:
    """Its answer would be a coroutine, which is true."""

    async def counts(tenant: str) -> bool:
        return True

    with pytest.raises(ConfigurationError, match="async"):
        trusted(counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "is_fault"),
    [
        ("https://a.example/{tid}/x", "https://b.example/{tid}/x", False),
        ("https://a.example/{tid}/x", "https://a.example/{tid}/y", False),
        ("https://a.example/{tid}/x", "https://a.example/{org}/x", True),
        ("https://a.example/{tid}", "https://a.example/t/{tid}", True),
        ("https://a.example/{tid}/x", "https://{tid}/x", True),
    ],
)
def test_two_templates_that_may_have_one_issuer_in_common_are_a_fault(
    one: str, other: str, is_fault: bool
) -> None:
    """Else the order of the list would choose the key set and the claim."""
    listed = [trusted(issuer=one), trusted(issuer=other)]
    if is_fault:
        with pytest.raises(ConfigurationError, match="may both be the issuer"):
            Verifier(listed)
    else:
        Verifier(listed)


def test_a_template_may_have_two_entries_too() -> None:
    """Chosen by the algorithm, each with its keys and its tenants."""
    rsa = Key.generate("RS256", kid="common")
    verifier = verifier_of(trusted([A, B]), trusted([A], key=rsa))
    for _ in range(2):
        assert [verifier.verify(token(A, key)).algorithm for key in (KEY, rsa)] == [
            "ES256",
            "RS256",
        ]
        assert verifier.verify(token(B)).issuer == issuer_of(B)
        with pytest.raises(TokenError):
            verifier.verify(token(B, rsa))


@given(tenant=st.text(min_size=1, max_size=140), around=st.sampled_from([("", ""), ("a", ".b")]))
def test_a_tenant_is_found_exactly_where_it_was_written(
    tenant: str, around: tuple[str, str]
) -> None:
    """What is taken out of `iss` is what was put in, or nothing."""
    template = template_of(f"https://x/{around[0]}{{tid}}{around[1]}")
    assert template is not None
    found = template.tenant_of(template.issuer_of(tenant))
    assert found == (tenant if is_tenant(tenant) else None)


async def keys_from(metadata_issuer: str, **options: Any) -> RemoteKeys:
    """Return keys that are found by metadata of that issuer."""

    async def serve(request: httpx2.Request) -> httpx2.Response:
        body: Any = KeySet([KEY]).public_jwks()
        if "well-known" in request.url.path:
            body = {"issuer": metadata_issuer, "jwks_uri": "https://login.example/keys"}
        return httpx2.Response(200, stream=httpx2.ByteStream(msgspec.json.encode(body)))

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))
    url = "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration"
    keys = RemoteKeys(TEMPLATE, ["ES256"], client=client, **{"discovery_url": url} | options)
    await keys.start()
    await keys.close()
    return keys


@pytest.mark.parametrize(
    ("metadata_issuer", "is_good"),
    [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", True),
        ("https://login.microsoftonline.com/{tid}/v2.0", True),
        (f"https://login.microsoftonline.com/{A}/v2.0", False),
        ("https://login.microsoftonline.com/{tenantid}/v1.0", False),
        ("https://login.evil.example/{tenantid}/v2.0", False),
        ("https://login.microsoftonline.com/{tenantid}/{tid}/v2.0", False),
        ("https://login.microsoftonline.com/{{tid}}/v2.0", False),
    ],
)
async def test_j4_metadata_name_the_same_template(metadata_issuer: str, is_good: bool) -> None:
    """Only the name of the placeholder may differ, as ``{tenantid}`` at Microsoft."""
    keys = await keys_from(metadata_issuer)
    verifier = verifier_of(keys.trust(AUDIENCE, tenants=[A]))
    if is_good:
        assert verifier.verify(token(A)).issuer == issuer_of(A)
    else:
        with pytest.raises(Unavailable, match="names the issuer"):
            verifier.verify(token(A))


async def test_a_template_has_no_metadata_of_its_own() -> None:
    """A URL with a placeholder is fetched from no server; one is named instead."""
    with pytest.raises(ConfigurationError, match="pass url="):
        RemoteKeys(TEMPLATE, ["ES256"])


def test_k7_a_revocation_of_one_tenant_leaves_the_other() -> None:
    """The concrete issuer is what is revoked: subjects of two tenants may have one name."""
    revoked = {(issuer_of(A), "alice")}
    verifier = verifier_of(is_revoked=lambda v: (v.issuer, v.subject) in revoked)
    with pytest.raises(TokenError):
        verifier.verify(token(A))
    assert verifier.verify(token(B)).subject == "alice"
