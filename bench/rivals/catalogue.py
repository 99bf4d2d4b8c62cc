"""The rivals: what each is, where it runs, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["ALGORITHMS", "RIVALS", "Rival"]

ALGORITHMS: Final = ("HS256", "RS256", "ES256", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One library in one setting."""

    name: str
    """As the table shows it."""
    app: str
    """The module in ``apps/`` or ``node/``."""
    runtime: Literal["python", "node"] = "python"
    requirements: str = ""
    """The file in ``requirements/``, without ``.txt``; empty for the checkout's environment."""
    packages: tuple[str, ...]
    """What its version is; the first is the library."""
    beside: str = "linqi_asgi"
    """The app of ours that its cost is compared with: around the same framework."""
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Algorithms it does not know, and why we say so."""
    unchecked: str = ""
    """Checks that it cannot be configured to make."""
    key: str = "object"
    """How it takes the key: an object made once, or text that each call reads again."""
    caches: bool = False
    """Whether it keeps verified tokens, so that the crowd's are all shown to it first."""
    reads_claims: bool = True
    """Whether its application sees a claim of the token besides the subject."""
    renews: bool = False
    """Whether ``renewing`` exists: sign-in with revocation, or renewal, or both."""
    page: str
    """The page of its documentation that the set-up follows."""

    @property
    def is_ours(self) -> bool:
        """Whether it is linqi."""
        return self.packages[0] == "linqi"


_UVICORN: Final = ("uvicorn", "uvloop", "httptools")
_FASTAPI: Final = ("fastapi", "starlette", *_UVICORN)
_CRYPTO: Final = ("cryptography", "PyNaCl")
"""What linqi checks signatures with; PyNaCl is an extra of it, for EdDSA."""
_NO_EDDSA: Final = "{} lists no EdDSA"

RIVALS: Final = (
    Rival(
        name="linqi (bare ASGI)",
        app="linqi_asgi",
        caches=True,
        packages=("linqi", *_CRYPTO, *_UVICORN),
        page="linqi: docs/quickstart.md",
        renews=True,
    ),
    Rival(
        name="linqi (Starlette)",
        app="linqi_starlette",
        caches=True,
        packages=("linqi", *_CRYPTO, "starlette", *_UVICORN),
        beside="linqi_starlette",
        page="linqi: docs/quickstart.md",
    ),
    Rival(
        name="linqi (FastAPI)",
        app="linqi_fastapi",
        caches=True,
        packages=("linqi", *_CRYPTO, *_FASTAPI),
        beside="linqi_fastapi",
        page="linqi: docs/examples/fastapi_app.py",
    ),
    Rival(
        name="PyJWT (FastAPI dependency)",
        app="pyjwt",
        requirements="pyjwt",
        packages=("PyJWT", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        page="FastAPI: OAuth2 with Password (and hashing), Bearer with JWT tokens",
    ),
    Rival(
        name="PyJWT (bare ASGI)",
        app="pyjwt_asgi",
        requirements="pyjwt",
        packages=("PyJWT", "cryptography", *_UVICORN),
        page="PyJWT: Usage Examples",
    ),
    Rival(
        name="Starlette AuthenticationMiddleware (PyJWT)",
        app="starlette_pyjwt",
        requirements="pyjwt",
        packages=("PyJWT", "cryptography", "starlette", *_UVICORN),
        beside="linqi_starlette",
        page="Starlette: Authentication",
    ),
    Rival(
        name="fastapi-users",
        app="fastapi_users",
        reads_claims=False,
        requirements="fastapi-users",
        packages=("fastapi-users", "PyJWT", *_FASTAPI),
        beside="linqi_fastapi",
        unchecked="iss; that exp is present",
        key="text",
        renews=True,
        page="fastapi-users: JWT",
    ),
    Rival(
        name="AuthX",
        app="authx",
        requirements="authx",
        packages=("authx", "PyJWT", *_FASTAPI),
        beside="linqi_fastapi",
        unchecked="that exp is present",
        unsupported={"EdDSA": _NO_EDDSA.format("AuthX's AlgorithmType")},
        key="text",
        renews=True,
        page="AuthX: Refresh Tokens; Token Blocklist",
    ),
    Rival(
        name="Litestar JWTAuth",
        app="litestar",
        requirements="litestar",
        packages=("litestar", "PyJWT", *_UVICORN),
        key="text",
        renews=True,
        page="Litestar: JWT Security Backends",
    ),
    Rival(
        name="joserfc (FastAPI dependency)",
        app="joserfc",
        requirements="joserfc",
        packages=("joserfc", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        page="joserfc: JSON Web Token",
    ),
    Rival(
        name="Authlib (FastAPI dependency)",
        app="authlib",
        requirements="authlib",
        packages=("Authlib", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        page="Authlib: JSON Web Token (JWT)",
    ),
    Rival(
        name="python-jose (FastAPI dependency)",
        app="python_jose",
        requirements="python-jose",
        packages=("python-jose", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        unsupported={"EdDSA": _NO_EDDSA.format("python-jose's ALGORITHMS")},
        page="python-jose: JSON Web Token",
    ),
    Rival(
        name="jwcrypto (FastAPI dependency)",
        app="jwcrypto",
        requirements="jwcrypto",
        packages=("jwcrypto", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        unchecked="nbf, unless it must be present",
        page="JWCrypto: JSON Web Token (JWT)",
    ),
    Rival(
        name="oxyjwt (FastAPI dependency)",
        app="oxyjwt",
        requirements="oxyjwt",
        packages=("oxyjwt", *_FASTAPI),
        beside="linqi_fastapi",
        page="OxyJWT: Quick Start",
    ),
    Rival(
        name="oxyjwt (bare ASGI)",
        app="oxyjwt_asgi",
        requirements="oxyjwt",
        packages=("oxyjwt", *_UVICORN),
        page="OxyJWT: Quick Start",
    ),
    Rival(
        name="ryjwt (FastAPI dependency)",
        app="ryjwt",
        requirements="ryjwt",
        packages=("ryjwt", "msgspec", *_FASTAPI),
        beside="linqi_fastapi",
        page="ryjwt: Example",
    ),
    Rival(
        name="ryjwt (bare ASGI)",
        app="ryjwt_asgi",
        requirements="ryjwt",
        packages=("ryjwt", "msgspec", *_UVICORN),
        page="ryjwt: Example",
    ),
    Rival(
        name="webtoken (FastAPI dependency)",
        app="webtoken",
        requirements="webtoken",
        packages=("webtoken", *_FASTAPI),
        beside="linqi_fastapi",
        key="text",
        page="webtoken: PyJWT Style",
    ),
    Rival(
        name="jwks-client (FastAPI dependency)",
        app="jwks_client",
        requirements="jwks-client",
        packages=("jwks-client", "PyJWT", "cryptography", *_FASTAPI),
        beside="linqi_fastapi",
        page="jwks-client: FastAPI",
    ),
    Rival(
        name="fast-jwt (node:http)",
        app="fast_jwt",
        runtime="node",
        packages=("fast-jwt",),
        key="text, read once",
        page="fast-jwt: createVerifier",
    ),
    Rival(
        name="fast-jwt with cache (node:http)",
        app="fast_jwt_cached",
        caches=True,
        runtime="node",
        packages=("fast-jwt",),
        key="text, read once",
        page="fast-jwt: Caching",
    ),
    Rival(
        name="jose (node:http)",
        app="jose",
        runtime="node",
        packages=("jose",),
        page="jose: jwtVerify",
    ),
    Rival(
        name="@fastify/jwt",
        app="fastify_jwt",
        runtime="node",
        packages=("@fastify/jwt", "fast-jwt", "fastify"),
        key="text, read once",
        renews=True,
        page="@fastify/jwt: README; onlyCookie; trusted",
    ),
    Rival(
        name="@fastify/jwt with cache",
        app="fastify_jwt_cached",
        caches=True,
        runtime="node",
        packages=("@fastify/jwt", "fast-jwt", "fastify"),
        key="text, read once",
        renews=True,
        page="@fastify/jwt: verify",
    ),
    Rival(
        name="express-jwt",
        app="express_jwt",
        runtime="node",
        packages=("express-jwt", "jsonwebtoken", "express"),
        unsupported={"EdDSA": _NO_EDDSA.format("jsonwebtoken's verify")},
        unchecked="that exp is present",
        renews=True,
        page="express-jwt: Usage",
    ),
)
