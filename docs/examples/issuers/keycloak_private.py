"""Keycloak whose keys are fetched by a private address."""

from linqi import RemoteAccess, RemoteKeys

keys = RemoteKeys(
    "https://ID.example/realms/REALM",
    ["RS256"],
    discovery_url="http://keycloak:8080/realms/REALM/.well-known/openid-configuration",
    access=RemoteAccess(allow_http=True),
)
issuers = [
    keys.trust(
        "YOUR-API",
        required_claims={"typ": "Bearer"},
        scope_claims=["scope", "resource_access.YOUR-API.roles"],
    )
]
