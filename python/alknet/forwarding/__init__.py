"""Connections that a node opens for others, as far as its policy lets them."""
