"""The terminal: what is typed there without being shown."""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from alknet.cli.failure import Failure

# A terminal hands over a line of at most this many bytes (N_TTY_BUF_SIZE).
_LINE_BYTES = 4096


def is_there() -> bool:
    """Whether a person sits at the terminal that we read from."""
    return os.isatty(0)


@contextmanager
def open_terminal() -> Iterator[int]:
    """Yield a descriptor of the terminal, whatever stdin and stdout are; close it afterwards.

    Raises:
        Failure: there is none.
    """
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        if not os.isatty(0):
            raise Failure("there is no terminal") from None
        descriptor = os.dup(0)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def hidden(prompt: str) -> Iterator[memoryview]:
    """Ask for a line at the terminal, which does not show it; wipe it when the block is left.

    Raises:
        Failure: there is no terminal, or its end was typed.
    """
    buffer = bytearray(_LINE_BYTES)
    try:
        with open_terminal() as terminal, _without_echo(terminal):
            os.write(terminal, prompt.encode())
            try:
                length = os.readv(terminal, [buffer])
            finally:
                os.write(terminal, b"\n")
        if length == 0:
            raise Failure("nothing was typed")
        # A last line without its end (Ctrl-D twice) is a line too.
        end = length - 1 if buffer[length - 1 : length] == b"\n" else length
        yield memoryview(buffer)[:end]
    finally:
        wipe(buffer)


def wait(prompt: str) -> None:
    """Show *prompt* at the terminal, and return when a line was typed there.

    Raises:
        Failure: there is no terminal.
    """
    with hidden(prompt):
        pass


def clear() -> None:
    """Have the terminal forget what it shows, and what it has shown before."""
    with open_terminal() as terminal:
        # ECMA-48 CUP and ED; 3 is xterm's, and others', for the lines that have scrolled away.
        os.write(terminal, b"\x1b[H\x1b[2J\x1b[3J")


def wipe(buffer: bytearray) -> None:
    """Overwrite what *buffer* holds; its length stays, so nothing of it is copied elsewhere."""
    buffer[:] = bytes(len(buffer))


def say(text: str) -> None:
    """Say something to the person who runs the command; it is no part of the answer."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def _without_echo(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    silent = termios.tcgetattr(terminal)
    silent[3] &= ~termios.ECHO
    # FLUSH drops what was typed before the prompt: it was meant for somebody else.
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
