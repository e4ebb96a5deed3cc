"""Architectures made of blocks; each is headless, general, and comes with a table of named variants."""
