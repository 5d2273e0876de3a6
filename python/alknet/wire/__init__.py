"""The wire, sans I/O: bytes in, events out, and back. Nothing here waits, opens or has a clock."""
