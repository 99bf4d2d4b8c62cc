"""What to do about each broken invariant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["REMEDIES"]

REMEDIES: Final[Mapping[str, str]] = {
    "forced logouts of honest users": "do not deploy: users are signed out without a reason;"
    " the notes below describe the first cases with their seconds; where all clients sign in as one"
    " user, a limit of sessions per user ends the oldest: put {n} into the body of --login",
    "5xx other than an intended 503": "read the servers' logs of the seconds marked below; linqi"
    " itself answers no 5xx but 503, so check the application and the store first",
    "honest requests without an answer": "the servers were overloaded or down: add workers, or"
    " check for a restart that did not drain its connections",
    "honest requests told to slow down": "raise the limits of [throttle]: they refuse honest users",
    "renewals with two different successors": "give all workers the same keys and settings; in a"
    " middleware of your own, let parallel requests share one successor",
    "signatures per renewal": "check that [signing] memo_seconds is above the longest request,"
    " and that all workers have the same clock",
    "renewals signed twice by one worker": "raise [signing] memo_entries above the number of"
    " sessions that renew within memo_seconds",
    "expired tokens accepted": "do not deploy: an expired token was accepted; check the clock"
    " of the servers and the leeway",
    "forged tokens accepted": "do not deploy: a token with a wrong signature or claim was accepted",
    "revoked tokens accepted past the bound": "do not deploy until the revocation feed reaches"
    " every worker; check that all share one store",
    "refresh families killed without theft": "raise [sessions] grace_seconds above the slowest"
    " refresh with its retry, and check that clients send each refresh once",
    "requests to the issuer": "let workers share one fetched key set, and check for many"
    " tokens with unknown key ids",
    "due requests answered without a successor, per cent": "check that [signing] wait_seconds is"
    " above the time of a signature under load; then that responses carry their successor",
    "storm factor above chance": "check that all workers have the policy grid and the same lifetime"
    " and buffer: renewals of many sessions fell together",
    "delay of renewals beside other requests, milliseconds": "find what a renewal waits for: the"
    " signature, authorize, or the store",
    "successors with another identity": "do not deploy: a renewed token states another user or"
    " lost claims of its session",
    "answers for another user": "do not deploy: the application took one user for another",
    "tokens that outlive the lifetime": "do not deploy until tokens live no longer than"
    " lifetime_seconds: stolen ones work for as long",
    "tokens that live shorter than the buffer": "give all workers the same lifetime and buffer; a"
    " token must live for one buffer at least",
    "tokens that outlive their session": "do not deploy: a renewal goes beyond the end of its"
    " session",
    "renewals before the token was due": "give all workers and this storm the same lifetime,"
    " buffer and policy",
    "refusals without a bearer challenge": "let the middleware answer refusals, and let no proxy"
    " remove WWW-Authenticate",
    "refusals that carry a token": "do not deploy: a refused request must bring no token",
    "refusals that a cache may store": "let no proxy replace Cache-Control of a refusal",
    "tokens that a cache may store": "do not deploy: a shared cache could hand one user's token to"
    " others; look for a proxy that replaces Cache-Control",
    "successors without Vary": "let no proxy remove Vary from responses with a successor",
    "tokens accepted before their time": "do not deploy: a token was accepted before nbf; check the"
    " clock of the servers and the leeway",
    "stolen refresh tokens accepted": "do not deploy: a spent refresh token was redeemed; check"
    " that all workers share one store",
    "sessions that survived a detected theft": "do not deploy until a reused refresh token ends its"
    " session on every worker",
    "spent refresh tokens replayed after the grace": "check [sessions] grace_seconds and the clocks"
    " of the workers: a spent refresh token must bring no old successor",
    "replays within the grace with another successor": "check that all workers share one store and"
    " the same secrets: two holders of one token must get one successor",
    "sessions extended by quiet requests": "check that no proxy removes the header that marks quiet"
    " requests",
    "verified tokens cached above the limit": "do not deploy: the cache of verified tokens grows"
    " without a bound",
    "memory kept per request, bytes": "look for what the application keeps of each request; repeat"
    " with --seconds 600 to be sure",
    "threads kept per renewal": "look for a thread that each renewal starts and that never ends",
    "files kept per renewal": "look for a file that each renewal opens and does not close",
    "event loops blocked, per cent of the time": "find the call that blocks the event loop (a"
    " sleep, a lock, a file, a synchronous client), and run it in a thread",
    "requests without a token accepted": "do not deploy: a page was served without a token; if it"
    " is meant for guests too, name a page that needs a token by --path",
    "refresh tokens accepted as access tokens": "do not deploy: a refresh token, which lives for"
    " days, opens pages; compare typ or audience of the tokens",
    "refusals with another status than 401": "answer 401 to requests without a valid token:"
    " clients sign in again at no other status",
    "refusals that clear cookies": "let no refusal delete a cookie: a parallel response may just"
    " have renewed it",
    "hostile requests answered 5xx": "read the servers' logs of those seconds: a token must raise"
    " no error in the application",
    "new tokens with the id of an earlier one": "give each token a jti of its own",
    "refresh tokens that outlive their settings": "do not deploy until refresh tokens live no"
    " longer than idle_seconds and their session no longer than absolute_seconds",
    "429 without Retry-After": "let the limiter say how long to wait: clients that are not told"
    " try again at once",
    "retries before the end of Retry-After": "let the client wait for Retry-After before it"
    " refreshes again, as linqi.js and linqi.client do",
    "store calls per refresh": "refuse a refresh token of an ended session with one call of the"
    " store, and without retries",
    "growth of a worker's memory, per cent": "look for what the application keeps; the chart of the"
    " memory shows since when",
}
"""The remedy of each broken invariant, by its name in `linqi_storm.run.invariants`."""
