"""The clients of a storm: what each holds and sends, and the process that drives them."""
