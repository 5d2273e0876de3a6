"""SecretService: what the seed is asked for, and how it gets there."""

from alknet.services.secret.service import SecretService

__all__ = ["SecretService"]
