"""Mailbox: the calls that wait for an actor, first come, first served.

The actor takes everything that waits in one go, so under load a message costs it no wake-up of its
own. A call from this process is never refused: its caller sleeps until the answer comes, so there
are at most as many as there are callers, and that is the backpressure. A call from a link costs its
caller nothing to send, so beyond `size` such calls are refused, but not to a link for another's.
"""

from collections import Counter, deque
from collections.abc import Callable

from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park

from alknet.call.invocation import Invocation
from alknet.errors import Unavailable


class Mailbox:
    """A FIFO of calls for one actor; *size* bounds those that come from one link.

    All links together have twice that, and a call gets in while its link has less waiting than is
    left of it. So one that sends much keeps no other out, and neither do callers of this process.
    """

    __slots__ = ("_actor", "_compact_at", "_letters", "_shares", "name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._letters: deque[Invocation] = deque()
        self._actor: Task | None = None
        self._compact_at = 2 * size
        # How many calls of each link wait; counted only when the mailbox is long.
        self._shares: Counter[object] | None = None

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, invocation: Invocation) -> None:
        """Add a call; one from a link that has its share waiting is failed with Unavailable."""
        letters = self._letters
        if len(letters) >= self.size and not self._admit(invocation):
            return
        self._letters.append(invocation)
        actor = self._actor
        if actor is not None:
            self._actor = None
            reschedule(actor)

    async def take(self) -> deque[Invocation]:
        """Wait until something has arrived, and take all of it; one task may wait.

        Cancelling takes nothing.
        """
        while not self._letters:
            self._actor = current_task()
            await park(self._abandon)
        letters = self._letters
        self._letters = deque()
        self._shares = None
        return letters

    def close(self, error: Callable[[], Exception]) -> None:
        """Fail everything that waits, each with an *error* of its own.

        One error raised in many tasks would mix their tracebacks and keep them all alive.
        """
        letters, self._letters = self._letters, deque()
        self._shares = None
        for invocation in letters:
            invocation.fail(error())

    def _admit(self, invocation: Invocation) -> bool:
        # Calls given up while they waited still lie here. They are swept out when the mailbox has
        # doubled since the last sweep, so that a caller who asks and leaves over and over cannot
        # fill the memory, and sweeping costs each call a constant.
        if len(self._letters) >= self._compact_at:
            self._letters = deque(waiting for waiting in self._letters if not waiting.is_over)
            self._compact_at = 2 * max(self.size, len(self._letters))
            self._shares = None
        if invocation.is_local:
            return True
        shares = self._shares
        if shares is None:
            shares = Counter(waiting.sender for waiting in self._letters if not waiting.is_local)
            self._shares = shares
        if shares[invocation.sender] + shares.total() < 2 * self.size:
            shares[invocation.sender] += 1
            return True
        invocation.fail(
            Unavailable(f"{self.name} has {len(self._letters)} calls waiting; try again later")
        )
        return False

    def _abandon(self, _: RaiseCancelT) -> Abort:
        self._actor = None
        return Abort.SUCCEEDED
