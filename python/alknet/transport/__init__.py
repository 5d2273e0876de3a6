"""The roads between nodes. Each yields the same: an authenticated Link. Only here are sockets."""
