"""Cloudflare Access: its assertion."""

from linqi import NamedHeaderTransport, RemoteKeys

keys = RemoteKeys(
    "https://TEAM.cloudflareaccess.com",
    ["RS256"],
    url="https://TEAM.cloudflareaccess.com/cdn-cgi/access/certs",
)
issuers = [keys.trust("APPLICATION-AUD-TAG", required_claims={"type": "app"})]
transport = NamedHeaderTransport("Cf-Access-Jwt-Assertion", origins=["https://app.example"])
