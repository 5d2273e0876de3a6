"""Guest: who is let in, and is no link: the connection that links and forwards come by."""

import trio


class Guest:
    """Somebody called *peer* at *remote*, served inside `scope`."""

    def __init__(self, peer: str, remote: str) -> None:
        self.peer = peer
        self.remote = remote
        self.scope = trio.CancelScope()

    def cancel(self, why: str) -> None:
        """Serve them no longer."""
        self.scope.cancel(reason=why)
