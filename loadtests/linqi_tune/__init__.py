"""The tuner: recommends settings from measurements, and proves that they are better."""
