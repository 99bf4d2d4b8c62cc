"""What every report shares: charts, a page, the machine, and servers of our own to measure."""
