"""Stands for Keycloak where there is no Docker: one realm, read from realm.json.

It is a real OpenID provider on a socket, with Keycloak's paths, claims and rules for ``aud`` and
roles, for the two grants that need no browser. It holds what Keycloak's documentation says; it is
not Keycloak, and not for production.
"""

import json
import sys
import time
import uuid
from pathlib import Path

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

DEFAULT_ROLES = ["offline_access", "uma_authorization"]


class Realm:
    """The realm's clients and users, and its keys, which survive a restart in `folder`."""

    def __init__(self, settings, public_url, folder):
        self.issuer = f"{public_url}/realms/{settings['realm']}"
        self.lifespan = settings["accessTokenLifespan"]
        self.clients = {client["clientId"]: client for client in settings["clients"]}
        self.users = {user["username"]: user for user in settings["users"]}
        self.folder = folder
        if not self.keys():
            self.add_key()

    def keys(self):
        """Return the private keys by their ids, the newest last."""
        files = sorted(self.folder.glob("key-*.pem"))
        return {file.stem: load_pem_private_key(file.read_bytes(), None) for file in files}

    def add_key(self):
        """Generate a key that signs from now on; the earlier ones stay published."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / f"key-{len(self.keys()) + 1}.pem").write_bytes(pem)

    def key_set(self):
        """Return the public keys, and beside them one for encryption, as Keycloak has it."""
        public = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.keys().items()
        ]
        return {"keys": [*public, public[0] | {"kid": "enc", "use": "enc", "alg": "RSA-OAEP"}]}

    def token(self, user, client, **claims):
        """Return a signed token of a user for a client; `claims` replace others."""
        now = int(time.time())
        roles = [role for role in user["realmRoles"] if not role.startswith("default-roles-")]
        mappers = [mapper["config"] for mapper in client.get("protocolMappers", [])]
        # "account" comes with the roles that every user has there; the API only by its mapper.
        audiences = [config["included.client.audience"] for config in mappers] + ["account"]
        content = {
            "exp": now + self.lifespan,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "iss": self.issuer,
            "aud": audiences if len(audiences) > 1 else audiences[0],
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, user["username"])),
            "typ": "Bearer",
            "azp": client["clientId"],
            "acr": "1",
            "realm_access": {"roles": [*DEFAULT_ROLES, *roles]},
            "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
            "scope": "profile email",
            "email_verified": user.get("emailVerified", False),
            "preferred_username": user["username"],
        }
        kid, key = list(self.keys().items())[-1]
        return jwt.encode(content | claims, key, "RS256", {"kid": kid})

    def granted(self, user, client):
        """Return the answer of the token endpoint."""
        token = self.token(user, client)
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.lifespan}


class Endpoints:
    """The paths of Keycloak, for one realm."""

    def __init__(self, realm):
        self.realm = realm

    async def discovery(self, request):
        """Name the public issuer, and the addresses of the host that was asked."""
        here = str(request.url).partition("/.well-known/")[0]
        return JSONResponse(
            {
                "issuer": self.realm.issuer,
                "authorization_endpoint": f"{self.realm.issuer}/protocol/openid-connect/auth",
                "token_endpoint": f"{here}/protocol/openid-connect/token",
                "jwks_uri": f"{here}/protocol/openid-connect/certs",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def certs(self, request):
        """Publish the keys."""
        return JSONResponse(self.realm.key_set())

    async def token(self, request):
        """Sign in a user by password, or a service by its secret."""
        form = await request.form()
        client = self.realm.clients.get(form.get("client_id", ""))
        if client is None or client.get("secret") != form.get("client_secret"):
            return JSONResponse({"error": "unauthorized_client"}, 401)
        if form.get("grant_type") == "client_credentials" and client.get("serviceAccountsEnabled"):
            user = self.realm.users[f"service-account-{client['clientId']}"]
            return JSONResponse(self.realm.granted(user, client))
        user = self.realm.users.get(form.get("username", ""), {})
        known = [credential["value"] for credential in user.get("credentials", [])]
        if not client.get("directAccessGrantsEnabled") or form.get("password") not in known:
            return JSONResponse({"error": "invalid_grant"}, 401)
        more = {
            "id_token": self.realm.token(user, client, typ="ID", aud=client["clientId"]),
            "refresh_token": self.realm.token(user, client, typ="Refresh", aud=self.realm.issuer),
        }
        return JSONResponse(self.realm.granted(user, client) | more)

    async def components(self, request):
        """Add a key. Keycloak asks for a token of an administrator here."""
        if (await request.json())["providerId"] == "rsa-generated":
            self.realm.add_key()
        return JSONResponse({}, 201)


def app_of(realm):
    """Return the realm as an ASGI application."""
    base, ends = f"/realms/{realm.issuer.rpartition('/')[2]}", Endpoints(realm)
    return Starlette(
        routes=[
            Route(f"{base}/.well-known/openid-configuration", ends.discovery),
            Route(f"{base}/protocol/openid-connect/certs", ends.certs),
            Route(f"{base}/protocol/openid-connect/token", ends.token, methods=["POST"]),
            Route(f"/admin{base}/components", ends.components, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    port, public_url, folder = sys.argv[1:]
    settings = json.loads(Path(__file__).with_name("realm.json").read_text("utf-8"))
    app = app_of(Realm(settings, public_url, Path(folder)))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
