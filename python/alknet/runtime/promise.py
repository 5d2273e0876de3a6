"""Promise: what an operation says it answers, held against what its handler does answer."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import structlog

from alknet.call.invocation import Entry
from alknet.call.payload import plain
from alknet.errors import Internal
from alknet.runtime.manner import Manner

log = structlog.get_logger("alknet.runtime")


class Promise:
    """Looks at every answer of one operation, and counts and logs those that do not fit.

    If it *is_strict*, the call fails then. Answers that are *made_by_hand* become plain JSON values
    on the way, so that a caller sees the same near and far, and shares nothing with the handler.
    """

    def __init__(self, entry: Entry, *, made_by_hand: bool, is_strict: bool) -> None:
        self._entry = entry
        self._made_by_hand = made_by_hand
        self._is_strict = is_strict

    def held(self, manner: Manner, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return *method* with each of its answers looked at."""
        if manner.is_stream:

            async def stream(*given: Any) -> AsyncGenerator[Any, None]:
                async with aclosing(method(*given)) as items:
                    async for item in items:
                        yield self._looked_at(item)

            return stream
        if manner.is_async:

            async def answer(*given: Any) -> Any:
                return self._looked_at(await method(*given))

            return answer
        return lambda *given: self._looked_at(method(*given))

    def held_once(
        self, manner: Manner, method: Callable[..., Any], restore: Callable[[], None]
    ) -> Callable[..., Any]:
        """Return *method* with its next answer looked at; *restore* is called when it is asked."""
        held = self.held(manner, method)

        def once(*given: Any) -> Any:
            restore()
            return held(*given)

        return once

    def _looked_at(self, answer: Any) -> Any:
        entry = self._entry
        if self._made_by_hand:
            answer = plain(answer)
        misfit = entry.output.misfit(answer)
        if misfit is None:
            return answer
        entry.measure.misfits += 1
        why = misfit.message.partition(": ")[2]
        if entry.spec.confidential:
            why = "not shown: the call was confidential"
        log.warning("answer does not fit", operation=entry.spec.name, why=why)
        if self._is_strict:
            raise Internal(f"{entry.spec.name} has answered what it does not promise: {why}")
        return answer
