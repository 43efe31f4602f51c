"""Human studies: blinded pages that work without a network, and what their answers say."""
