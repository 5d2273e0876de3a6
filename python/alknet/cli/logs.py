"""Logs: to stderr, for a person as lines, for a program as JSON."""

import logging
import os
import sys
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

    Other libraries are heard from "warning" on, unless *is_verbose*. A log that cannot be written
    is lost, and never ends the node.
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


def _rendering() -> list[Any]:
    # Both of structlog's own ways to render a traceback show local variables: they hold requests.
    if sys.stderr.isatty():
        is_coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=is_coloured, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=True),
    ]
