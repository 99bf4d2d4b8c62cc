"""The benchmarks that show what verification, renewal and the middleware cost."""
