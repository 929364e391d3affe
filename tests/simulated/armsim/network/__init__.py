"""Part of the simulator."""
