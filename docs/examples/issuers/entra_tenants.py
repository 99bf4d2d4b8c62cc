"""Microsoft Entra ID: access tokens of several tenants."""

from linqi import RemoteKeys

keys = RemoteKeys(
    "https://login.microsoftonline.com/{tid}/v2.0",
    ["RS256"],
    discovery_url=(
        "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration"
    ),
)
issuers = [
    keys.trust(
        "API-CLIENT-ID",
        tenants=["TENANT-ONE", "TENANT-TWO"],
        required_claims={"azp": ["CLIENT-APP-ID"]},
        scope_claims=["scp", "roles"],
    )
]
