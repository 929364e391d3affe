"""Runs plans. Knows ports, never a cloud and never a runner; emits events and never prints."""
