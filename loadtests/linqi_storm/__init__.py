"""The harness around linqi: today an issuing app to try things on, and the demo that drives it."""
