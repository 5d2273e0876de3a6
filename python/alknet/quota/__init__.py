"""How much of a node one address, and one identity, may use: counted here, enforced elsewhere."""
