"""Builds Azure VM images from an Azure Image Builder template."""
