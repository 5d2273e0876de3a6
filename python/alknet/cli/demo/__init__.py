"""`alknet demo`: a head and a worker in two processes, and the whole path between them.

To show something new, add a step to `steps.py`.
"""

from alknet.cli.failure import Debug


def demo(_debug: Debug = False) -> None:
    """Run a head and a worker on this machine, call to and fro, and check every answer.

    Needs nothing and leaves nothing: its keys, its phrase and its files are made for this run.
    """
    # Other commands should not pay for what only this one shows.
    from alknet.cli.demo.show import run

    run()
