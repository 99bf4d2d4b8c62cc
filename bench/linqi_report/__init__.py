"""What reports and measurements share: charts, a page, the machine, and servers to measure."""
