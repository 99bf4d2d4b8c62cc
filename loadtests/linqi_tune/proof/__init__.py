"""Whether new settings are better: the storms before and after them."""
