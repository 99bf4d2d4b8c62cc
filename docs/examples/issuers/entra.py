"""Microsoft Entra ID: access tokens of one tenant, version 2."""

from linqi import RemoteKeys

keys = RemoteKeys("https://login.microsoftonline.com/TENANT-ID/v2.0", ["RS256"])
issuers = [
    keys.trust(
        "API-CLIENT-ID",
        required_claims={"tid": "TENANT-ID", "azp": ["CLIENT-APP-ID"]},
        scope_claims=["scp", "roles"],
    )
]
