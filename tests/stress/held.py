"""Services whose handlers wait to be told how to end, and say which calls they are at."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import trio

from alknet import Request, Service, Subscription, handler, operation
from alknet.errors import NotFound, ServiceFailed


class Book:
    """Who is at work, on calls by their number; each waits for words."""

    def __init__(self):
        self.at_work = {}
        self.begun = []

    def tell(self, number, word):
        """Tell the handler of a call "item", "answer", "refuse", "crash" or "fail"."""
        self.at_work[number].send_nowait(word)

    async def words(self, number):
        """Yield what the handler of this call is told, while it is at work."""
        send, receive = trio.open_memory_channel(10)
        assert number not in self.begun, f"call {number} is carried out twice"
        self.begun.append(number)
        self.at_work[number] = send
        try:
            with send, receive:
                async for word in receive:
                    yield word
        finally:
            del self.at_work[number]


def end(word, number):
    """Do what a handler does that is told to end."""
    if word == "refuse":
        raise NotFound(f"{number}")
    if word == "crash":
        raise ZeroDivisionError(f"{number}")
    if word == "fail":
        raise ServiceFailed(f"{number}")
    return number


def held(namespace, *, needs=()):
    """Return the request types of a service called *namespace*, and the service itself."""

    @operation(f"{namespace}/take", kind="mutation")
    class Take(Request[int], frozen=True):
        """One at a time."""

        number: int

    @operation(f"{namespace}/fetch", kind="mutation")
    class Fetch(Request[int], frozen=True):
        """Side by side."""

        number: int

    @operation(f"{namespace}/peek", kind="mutation")
    class Peek(Request[int], frozen=True):
        """At once, ending as it says."""

        number: int
        word: str

    @operation(f"{namespace}/watch")
    class Watch(Subscription[int], frozen=True):
        """An item for each word, until one of the others."""

        number: int

    class Held(Service, namespace=namespace):
        requires = needs

        def __init__(self, book: Book) -> None:
            self._book = book
            self._is_taken = False

        async def _told(self, number: int) -> int:
            words = self._book.words(number)
            try:
                return end(await anext(words), number)
            finally:
                await words.aclose()

        @handler
        async def take(self, request: Take) -> int:
            assert not self._is_taken, "two exclusive handlers run at once"
            self._is_taken = True
            try:
                return await self._told(request.number)
            finally:
                self._is_taken = False

        @handler(concurrent=True)
        async def fetch(self, request: Fetch) -> int:
            return await self._told(request.number)

        @handler(concurrent=True)
        def peek(self, request: Peek) -> int:
            return end(request.word, request.number)

        @handler
        async def watch(self, request: Watch) -> AsyncIterator[int]:
            words = self._book.words(request.number)
            try:
                async for word in words:
                    if word != "item":
                        end(word, request.number)
                        return
                    yield request.number
            finally:
                await words.aclose()

    return SimpleNamespace(
        name=namespace, Held=Held, Take=Take, Fetch=Fetch, Peek=Peek, Watch=Watch
    )
