"""Test an application that linqi guards: clocks, tokens, an issuer and signed-in clients.

```python
def test_alice_reads_orders(client, signed_in):
    assert signed_in(client, "alice", scopes=["orders:read"]).get("/orders").status_code == 200
```

The fixtures ``signed_in``, ``linqi_clock``, ``linqi_issuer`` and ``linqi_app`` come with the pytest
plugin, which is loaded without an import. Nothing here turns a verification off.
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.testing.clock import Clock
    from linqi.testing.fake_issuer import FakeIssuer
    from linqi.testing.faults import CannotTest, ClockNotMoved
    from linqi.testing.process_clock import ProcessClock, moved_time
    from linqi.testing.signed_in_client import SignedIn, signed_in
    from linqi.testing.tokens import encode_token, make_token
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.testing.clock": ("Clock",),
            "linqi.testing.fake_issuer": ("FakeIssuer",),
            "linqi.testing.faults": ("CannotTest", "ClockNotMoved"),
            "linqi.testing.process_clock": ("ProcessClock", "moved_time"),
            "linqi.testing.signed_in_client": ("SignedIn", "signed_in"),
            "linqi.testing.tokens": ("encode_token", "make_token"),
        },
    )

__all__ = [
    "CannotTest",
    "Clock",
    "ClockNotMoved",
    "FakeIssuer",
    "ProcessClock",
    "SignedIn",
    "encode_token",
    "make_token",
    "moved_time",
    "signed_in",
]
