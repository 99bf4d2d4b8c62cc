"""The tokens of AWS Application Load Balancers, which are padded and say in the header who signed.

A load balancer that signs users in puts a token into ``x-amzn-oidc-data``. Its segments have the
padding of RFC 4648, which the signature covers. The header has ``signer``, the ARN of the load
balancer, and ``client``, the client id that it has at the identity provider; the payload has the
provider's ``iss``, ``exp`` and what its userinfo endpoint says, and no ``aud``. One key signs for
all load balancers of a region, of other customers too: who checks the signature but not the signer
accepts what anyone with an AWS account makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from linqi.errors import InvalidClaim, MalformedToken, MissingClaim

__all__ = ["AlbHeader", "AlbRule", "alb_faults", "alb_header", "check_alb"]

_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,20}:elasticloadbalancing:[a-z]{2}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}:[0-9]{12}"
    r":loadbalancer/app/[A-Za-z0-9-]{1,32}/[0-9a-f]{1,32}"
)


class AlbHeader(msgspec.Struct, frozen=True):
    """What the header of a padded token says beside algorithm, key id and type."""

    signer: object
    client: object
    copied: tuple[tuple[str, object], ...]
    """The header's ``iss`` and ``exp``, which repeat those of the payload."""


class AlbRule(msgspec.Struct, frozen=True):
    """Whose padded tokens an issuer's are."""

    signers: frozenset[str]
    """The ARNs of the load balancers."""
    clients: frozenset[str] | None
    """The audience; None accepts every client of these load balancers."""

    def check(self, header: AlbHeader, claims: Mapping[str, Any]) -> None:
        """Check the header of a token with the payload `claims`.

        Raises:
            MissingClaim: ``signer`` or ``client`` is absent.
            InvalidClaim: One is another one, or the header contradicts the payload (RFC 7519,
                section 5.3).

        """
        _require("signer", header.signer, self.signers)
        if self.clients is not None:
            _require("client", header.client, self.clients)
        for name, value in header.copied:
            said = claims.get(name)
            if type(value) is not type(said) or value != said:
                raise InvalidClaim(f"the header's {name} is not that of the payload", name)


def alb_header(members: Mapping[str, Any]) -> AlbHeader:
    """Return what a padded token's header `members` say; `AlbRule.check` judges it."""
    copied = tuple((name, members[name]) for name in ("iss", "exp") if name in members)
    return AlbHeader(members.get("signer"), members.get("client"), copied)


def check_alb(rule: AlbRule | None, header: AlbHeader | None, claims: Mapping[str, Any]) -> None:
    """Check that exactly the tokens of load balancers are padded, and whose they are.

    Args:
        rule: That of the token's issuer; None for other issuers.
        header: What the header of a padded token says; None for a token without padding.
        claims: The payload.

    Raises:
        MalformedToken: An issuer's token is padded that is no load balancer's, or the reverse: the
            second spelling of a token would be a second cache key, and no revocation that names
            the token's digest would meet it.
        TokenError: As `AlbRule.check` raises.

    """
    if rule is None:
        raise MalformedToken("the segments are padded, and the issuer is no load balancer")
    if header is None:
        raise MalformedToken("the segments are not padded, as those of a load balancer are")
    rule.check(header, claims)


def alb_faults(signers: object, algorithms: Sequence[str], *, own: bool) -> list[str]:
    """Return what is wrong with the ``alb_signer`` of an issuer."""
    listed = (signers,) if isinstance(signers, str) else signers
    if not isinstance(listed, Sequence) or not listed:
        return ["alb_signer is neither the ARN of a load balancer nor a list of them"]
    faults = [
        f"alb_signer {arn!r} is no ARN such as arn:aws:elasticloadbalancing:eu-west-1:"
        "123456789012:loadbalancer/app/shop/50dc6c495c0c9188"
        for arn in listed
        if not isinstance(arn, str) or _ARN.fullmatch(arn) is None
    ]
    if tuple(algorithms) != ("ES256",):
        faults.append("load balancers sign by ES256; algorithms must be ['ES256']")
    if own:
        faults.append("alb_signer is set for an own issuer, whose tokens are not padded")
    return faults


def _require(name: str, value: object, accepted: frozenset[str]) -> None:
    if value is None:
        raise MissingClaim(f"the header's {name} is missing", name)
    if type(value) is not str or value not in accepted:
        raise InvalidClaim(f"the header's {name} is not an accepted value", name)
