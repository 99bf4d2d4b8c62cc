"""Claims as a type of the application: what fits is a value, everything else one error."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import App, call, http
from linqi import ANONYMOUS, ConfigurationError, Key, RequireClaims, TokenError
from linqi.errors import UnfitClaims
from linqi.jose import typed_claims
from tokens import good_claims, make, verifier_of

KEY = Key.generate("ES256")


class Role(Enum):
    """What a user may be."""

    CLERK = "clerk"
    ADMIN = "admin"


class AsStruct(msgspec.Struct):
    """A msgspec type."""

    sub: str
    role: Role
    tenant: int = 0


@dataclass
class AsDataclass:
    """A type of the standard library."""

    sub: str
    role: Role
    tenant: int = 0


class AsDict(TypedDict):
    """A mapping with known members."""

    sub: str
    role: str


class AsModel(pydantic.BaseModel):
    """A model of pydantic."""

    sub: str
    role: Role
    tenant: int = 0


@pydantic.dataclasses.dataclass
class AsPydanticDataclass:
    """A dataclass that pydantic checks."""

    sub: str
    role: Role
    tenant: int = pydantic.Field(0, ge=0)


KINDS = [AsStruct, AsDataclass, AsModel, AsPydanticDataclass]


def verified(**claims: Any) -> Any:
    """Return a verified token with these claims."""
    return verifier_of(KEY).verify(make(KEY, good_claims(**claims)))


@pytest.mark.parametrize("kind", KINDS)
def test_claims_that_fit_are_a_value_of_the_type(kind: Any) -> None:
    """With their types, and the defaults of those that are absent."""
    read = verified(role="admin").read(kind)
    assert isinstance(read, kind)
    assert (read.sub, read.role, read.tenant) == ("alice", Role.ADMIN, 0)


def test_a_typed_dict_is_read() -> None:
    """Members that it does not name are left out."""
    read: AsDict = verified(role="admin").read(AsDict)
    assert read == {"sub": "alice", "role": "admin"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"role": "hunter2-secret"},
        {"role": None},
        {"role": ["admin"]},
        {"role": "admin", "tenant": "\n\x1b[31mseven"},
        {"role": "admin", "tenant": {"a": 1}},
        {"role": "admin", "tenant": 1.5},
    ],
)
def test_claims_that_do_not_fit_are_one_error_without_their_values(
    kind: Any, claims: dict[str, Any]
) -> None:
    """A `TokenError` with a stable code, whose text repeats no claim, nor does its cause."""
    with pytest.raises(UnfitClaims) as caught:
        verified(**claims).read(kind)
    error = caught.value
    assert isinstance(error, TokenError)
    assert error.code == "unfit_claims"
    assert kind.__name__ in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
    for text in ("hunter2", "seven", "\x1b"):
        assert text not in str(error)


@pytest.mark.parametrize("kind", [*KINDS, AsDict])
def test_a_claim_that_is_missing_is_named(kind: Any) -> None:
    """As with a token from before the claim existed."""
    with pytest.raises(UnfitClaims, match=r" at (\$\.)?role$"):
        verified().read(kind)


@pytest.mark.parametrize("kind", [int, str, dict, list[int], 7, None, object, {"a": 1}, lambda: 0])
def test_a_type_without_fields_is_named(kind: Any) -> None:
    """It is a fault of the application, found at the first call, or by the guard at its start."""
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        verified().read(kind)
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        RequireClaims(App(), kind)


def test_the_decoder_of_a_type_is_made_once() -> None:
    """A decoder costs more than the decoding."""
    before = typed_claims._cached_reader.cache_info().misses
    for _ in range(3):
        verified(role="admin").read(AsStruct)
    assert typed_claims._cached_reader.cache_info().misses <= before + 1


@given(
    role=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    )
)
def test_no_claim_raises_anything_else(role: Any) -> None:
    """Whatever a signed claim holds: a value or `UnfitClaims`."""
    payload = msgspec.json.encode({"sub": "alice", "role": role})
    for kind in (*KINDS, AsDict):
        try:
            typed_claims.read_as(payload, kind)  # type: ignore[type-var]
        except UnfitClaims:
            continue


async def test_the_guard_answers_401_invalid_token() -> None:
    """A client refreshes on it; without a token the answer is a bare challenge."""
    app = App()
    guard = RequireClaims(app, AsStruct)
    fits = await call(guard, http() | {"linqi": verified(role="clerk")})
    unfit = await call(guard, http() | {"linqi": verified(role="owner")})
    unknown = await call(guard, http() | {"linqi": ANONYMOUS})
    assert (fits.status, unfit.status, unknown.status) == (200, 401, 401)
    assert 'error="invalid_token"' in str(unfit.header("www-authenticate"))
    assert "error" not in str(unknown.header("www-authenticate"))
    assert len(app.scopes) == 1
