"""The demonstration of linqi: three minutes on one machine."""
