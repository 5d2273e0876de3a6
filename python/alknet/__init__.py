"""One seed phrase becomes a running node."""
