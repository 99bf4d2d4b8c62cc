"""A shop in Django behind linqi."""
