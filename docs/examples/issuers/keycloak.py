"""Keycloak: access tokens of a realm."""

from linqi import RemoteKeys

keys = RemoteKeys("https://ID.example/realms/REALM", ["RS256"])
issuers = [
    keys.trust(
        "YOUR-API",
        required_claims={"typ": "Bearer"},
        scope_claims=["scope", "resource_access.YOUR-API.roles"],
    )
]
