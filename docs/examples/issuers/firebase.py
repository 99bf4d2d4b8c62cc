"""Firebase Authentication: ID tokens of a project."""

from linqi import RemoteKeys

keys = RemoteKeys(
    "https://securetoken.google.com/PROJECT-ID",
    ["RS256"],
    url="https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com",
    keys_format="certificates",
)
issuers = [keys.trust("PROJECT-ID")]
