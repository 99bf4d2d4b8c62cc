"""Sinks for events; each knows `linqi.events` and one logging or metrics library."""
