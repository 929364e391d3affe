"""The only file that knows everybody: validate, plan, build, cleanup."""
