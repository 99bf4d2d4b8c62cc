"""What a request costs the load generator of `linqi storm`, beside other load generators."""
