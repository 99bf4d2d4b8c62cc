"""The settings of docs/guides/oidc.md with the tokens of each vendor: only hosts are replaced."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asgi import App, call, http
from linqi import JWTMiddleware, TokenError, Verifier
from linqi.config import wrap
from linqi.config.checker import check
from vendors import SECRET, VENDORS, Site, Vendor

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
GUIDES = ROOT / "docs" / "guides"
SETTINGS = {
    ("github", "py"): EXAMPLES / "github_tokens.py",  # a function, which TOML cannot hold
    **{(path.stem, path.suffix[1:]): path for path in (EXAMPLES / "issuers").glob("*.*")},
}
FORMS = sorted(SETTINGS)
BY_NAME = pytest.mark.parametrize(("name", "form"), FORMS)
ENVIRONMENT = {"SUPABASE_JWT_SECRET": SECRET, "GITHUB_CLIENT_SECRET": SECRET}


def forged(vendor: Vendor) -> dict[str, dict[str, Any]]:
    """Return attacks on the tokens of any vendor that signs them."""
    if vendor.is_opaque:
        return {}
    past = {"exp": 1_000_000_000}
    repeated = past if "exp" in vendor.shape["header"] else {}
    return {
        "an expired one": {"claims": past, "header": repeated, "code": "token_expired"},
        "the same by a key of another vendor": {"key": "other", "code": "invalid_signature"},
        "without a signature": {
            "header": {"alg": "none"},
            "key": "none",
            "code": "algorithm_not_allowed",
        },
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the server of every issuer's documents."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@dataclass(frozen=True, slots=True)
class Guarded:
    """The application of a test, and the middleware around it."""

    app: App
    middleware: JWTMiddleware


@pytest.fixture
def guarded(
    site: Site,
    name: str,
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Guarded:
    """Return an application guarded by the settings of the guide, in each of their two forms."""
    app, text = App(), site.localised(name, SETTINGS[name, form].read_text())
    if form == "toml":
        (tmp_path / "linqi.toml").write_text(text)
        return Guarded(app, wrap(app, tmp_path / "linqi.toml", environ=ENVIRONMENT))
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    made: dict[str, Any] = {}
    exec(text, made)  # noqa: S102
    transports = [made["transport"]] if "transport" in made else None
    issuers = made["issuers"] if "issuers" in made else made[name]
    return Guarded(app, JWTMiddleware(app, Verifier(issuers), transports=transports))


async def answered(app: JWTMiddleware, vendor: Vendor, token: str) -> Any:
    """Return how a request with the token is answered, in the header that the vendor uses."""
    carrier = vendor.shape.get("carrier")
    headers = [] if carrier is None else [(carrier.lower().encode(), token.encode())]
    return await call(app, http(token=None if carrier else token, headers=headers))


def code_of(app: JWTMiddleware, token: str) -> str:
    """Return the code of the error with which the verifier refuses a token."""
    with pytest.raises(TokenError) as caught:
        app.verifier.verify(token)
    return caught.value.code


@BY_NAME
async def test_the_settings_accept_what_the_vendor_issues_and_nothing_else(
    name: str, site: Site, guarded: Guarded
) -> None:
    """Refused: other audiences and tenants, ID tokens, expired and forged ones (V3, V6, V7)."""
    vendor = site.vendor(name)
    for title, case in vendor.accepted.items():
        answer = await answered(guarded.middleware, vendor, vendor.token(case))
        assert answer.status == 200, title
        verified = guarded.app.scopes[-1]["linqi"]
        assert (verified.subject, verified.scopes) == vendor.expected(case), title
    for title, case in (vendor.shape["refused"] | forged(vendor)).items():
        token = vendor.token(case)
        answer = await answered(guarded.middleware, vendor, token)
        assert answer.status == 401, title
        code = code_of(guarded.middleware, token)
        assert case["code"] in (None, code), (title, code)


@pytest.mark.parametrize("name", [name for name, form in FORMS if form == "toml"])
def test_linqi_check_finds_no_error_in_the_settings(name: str, site: Site, tmp_path: Path) -> None:
    """What a setting loosens by name is a warning or a note, never an error."""
    text = SETTINGS[name, "toml"].read_text()
    (tmp_path / "linqi.toml").write_text(site.localised(name, text))
    findings = check(tmp_path / "linqi.toml", ENVIRONMENT).findings
    assert not [found for found in findings if found.severity == "error"]


@BY_NAME
def test_a_guide_shows_the_settings_of_each_vendor(name: str, form: str) -> None:
    """Both forms are on a page, as `test_examples` compares them, and the sources are stated."""
    marker = f"<!-- example: {SETTINGS[name, form].relative_to(ROOT)} -->"
    pages = (GUIDES / "oidc.md", GUIDES / "opaque_tokens.md")
    assert any(marker in page.read_text() for page in pages)
    assert all(source.startswith("https://") for source in VENDORS[name]["sources"])


def test_every_vendor_of_the_file_has_settings() -> None:
    """No shape is left untested, and each is in both forms that can hold it."""
    named = {(name, form) for name in VENDORS for form in ("py", "toml")}
    assert set(FORMS) == named - {("github", "toml")}
