"""Google Identity-Aware Proxy: its assertion."""

from linqi import NamedHeaderTransport, RemoteKeys

keys = RemoteKeys(
    "https://cloud.google.com/iap",
    ["ES256"],
    url="https://www.gstatic.com/iap/verify/public_key-jwk",
)
issuers = [keys.trust("/projects/PROJECT-NUMBER/global/backendServices/SERVICE-ID")]
transport = NamedHeaderTransport("X-Goog-IAP-JWT-Assertion", origins=["https://app.example"])
