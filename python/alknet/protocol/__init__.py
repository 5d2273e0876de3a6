"""What is said: the request types of every service. No I/O, and nothing of who answers."""

from alknet.protocol.request import (
    Declaration,
    Duplex,
    Kind,
    Request,
    Subscription,
    Upload,
    operation,
)

__all__ = [
    "Declaration",
    "Duplex",
    "Kind",
    "Request",
    "Subscription",
    "Upload",
    "operation",
]
