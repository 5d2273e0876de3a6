"""The access log: a line at DEBUG for every call that a link has brought, when it is over."""

import logging
from typing import Any

import structlog


def open_access_log(peer: str) -> Any:
    """Return a logger for the calls of *peer*, or None if their lines would go nowhere.

    It is asked once for a link, so that a link whose lines nobody wants costs its calls nothing; a
    level that is lowered later counts for later links. A program that has not configured structlog
    has not asked for a line a call, although structlog would print it.
    """
    if not structlog.is_configured():
        return None
    log = structlog.get_logger("alknet.access").bind(peer=peer)
    return log if log.is_enabled_for(logging.DEBUG) else None
