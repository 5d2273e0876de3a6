"""Services as supervised actors: a mailbox, a task that serves it, and somebody who watches."""

from alknet.runtime.service import Service, handler

__all__ = ["Service", "handler"]
