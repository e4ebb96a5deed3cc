"""The shared building blocks: each is written once and every architecture is a list of them."""
