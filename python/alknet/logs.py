"""Logs: to stderr, as lines for a person and as JSON for a program. `configure` is all there is.

Every line about a call has its `operation`, `request_id`, `parent_id`, `peer`, `caller` and
`trace`, and none has its input. At "debug" there is a line for each call that a link has brought,
too. A program that embeds alknet may configure structlog as it likes instead.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_COMMON: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(*, level: str, is_verbose: bool = False) -> None:
    """Write what is logged at *level* or above to stderr, ours and that of other libraries.

    *level* is one of Python's logging, in lower case. Other libraries are heard from "warning" on,
    unless *is_verbose*. A log that cannot be written is lost, and never ends the node.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_COMMON,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(),
            ],
        )
    )
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    if not is_verbose:
        for name in ("trio-websocket", "asyncio"):
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


# structlog's own tracebacks show local variables, and those hold requests: phrases, tokens. So
# there are only plain ones here.
def _rendering() -> list[Any]:
    if sys.stderr.isatty():
        is_coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return [
            structlog.processors.format_exc_info,
            _for_a_person,
            structlog.dev.ConsoleRenderer(
                colors=is_coloured, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=True),
    ]


def _for_a_person(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what is not known, show causes line by line, and nothing that a terminal obeys.

    Some of what is logged, such as the id of a request, a peer has chosen.
    """
    shown: dict[str, Any] = {}
    for key, value in line.items():
        if key in ("cause", "exception") and isinstance(value, str):
            shown["exception"] = "\n".join(map(_printable, value.splitlines()))
        elif value is not None:
            shown[key] = _printable(value) if isinstance(value, str) else value
    return shown


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
