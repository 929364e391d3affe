"""The storage that hands artifacts to the guest."""
