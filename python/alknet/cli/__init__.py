"""The command line, `alknet`: one file a command or a small group of them.

stdout carries the answer and nothing else; everything that is said to a person goes to stderr.
"""

from alknet.cli.app import main

__all__ = ["main"]
