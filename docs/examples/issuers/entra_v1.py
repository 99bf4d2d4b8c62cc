"""Microsoft Entra ID: access tokens of one tenant, version 1."""

from linqi import RemoteKeys

keys = RemoteKeys(
    "https://sts.windows.net/TENANT-ID/",
    ["RS256"],
    discovery_url=("https://login.microsoftonline.com/TENANT-ID/.well-known/openid-configuration"),
)
issuers = [
    keys.trust(
        "api://API-CLIENT-ID",
        required_claims={"tid": "TENANT-ID", "appid": ["CLIENT-APP-ID"]},
        scope_claims=["scp", "roles"],
    )
]
