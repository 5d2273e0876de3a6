"""AuthService: whose key or token is this, and what may they do."""

from alknet.services.auth.service import AuthService

__all__ = ["AuthService"]
