"""No test may leave a task that nobody waits for: Trio itself is asked, at the end of each run."""

import trio


class Orphans(trio.abc.Instrument):
    """Which tasks outlive the main one.

    A task in a nursery cannot; one that was given to the system's own nursery can, and would be
    cancelled in silence there.
    """

    def __init__(self):
        self.names = []
        self._own = []
        self._alive = set()

    def task_spawned(self, task):
        # The first three are Trio's: the root, the main task, and who runs what threads hand in.
        if len(self._own) < 3:
            self._own.append(task)
        else:
            self._alive.add(task)

    def task_exited(self, task):
        self._alive.discard(task)
        if task is self._own[1]:
            self.names = sorted(each.name for each in self._alive)


def run(function, *arguments, clock=None, instruments=()):
    """Do what `trio.run` does, and raise AssertionError if a task outlives *function*."""
    orphans = Orphans()
    result = trio.run(function, *arguments, clock=clock, instruments=[*instruments, orphans])
    assert not orphans.names, f"tasks that nobody waits for: {orphans.names}"
    return result
