"""Ways into a guest."""
