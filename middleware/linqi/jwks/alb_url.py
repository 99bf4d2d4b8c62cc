"""Where AWS publishes the keys of load balancers, by region."""

from __future__ import annotations

from collections.abc import Sequence

from linqi.errors import ConfigurationError
from linqi.jose.load_balancer import alb_faults
from linqi.jwks.url import url_fault

__all__ = ["alb_keys_url"]


def alb_keys_url(signers: Sequence[str], url: str | None) -> str:
    """Return the URL before the key id, without a slash at its end.

    Args:
        signers: The ARNs of the load balancers.
        url: The configured URL; None for that of AWS.

    Raises:
        ConfigurationError: An ARN or the URL is not one, or the ARNs do not lead to one URL; lists
            every fault.

    """
    faults = alb_faults(tuple(signers), ("ES256",), own=False)
    if url is not None:
        fault = url_fault(url, "url")
        if fault is not None or "?" in url:
            faults.append(fault or "url has a query, to which no key id can be added")
    if faults:
        raise ConfigurationError(faults)
    if url is not None:
        return url.rstrip("/")
    found = {_url_of(arn) for arn in signers}
    if None in found or len(found) > 1:
        raise ConfigurationError(
            ["the load balancers are not all in one region whose URL is known here; pass url="]
        )
    return str(*found)


def _url_of(arn: str) -> str | None:
    """Return the URL for one ARN; None for a partition whose documentation names none."""
    _, partition, _, region, *_ = arn.split(":")
    if partition == "aws":
        return f"https://public-keys.auth.elb.{region}.amazonaws.com"
    if partition == "aws-us-gov":
        return f"https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}"
    return None
