"""AuthService: whose key or token is this, and what may they do."""

# For what it registers: AuthService is told which backend is wanted, and makes the one.
from alknet.services.auth import remote as remote
from alknet.services.auth.service import AuthService

__all__ = ["AuthService"]
