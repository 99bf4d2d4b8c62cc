"""One application for each framework, with the paths of `matrix.contract`."""
