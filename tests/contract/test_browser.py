"""A page in a real browser works against a real node, if it is of an origin that may call."""

import hashlib
import json
import shutil
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
import trio

from alknet import open_node
from alknet.services.auth.keyset import Token

from ..echo import Echo
from ..people import node_settings

PAGE = Path(__file__).with_name("page.html").read_bytes()
TOKEN = "alk_0123456789abcdef0123456789abcdef"
LISTED = Token(
    "page", "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest(), frozenset({"echo:*"})
)
BROWSER = shutil.which("chromium")
# Alone, without a screen, and as root too, as in a container.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="Debian's package chromium is not here")


class Site:
    """Serves the page, and keeps what the page sends back."""

    def __init__(self):
        self.heard, self._heard = trio.open_memory_channel(1)

    async def serve(self, stream):
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive_some()
            head, _, body = request.partition(b"\r\n\r\n")
            if head.startswith(b"POST /heard "):
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                while len(body) < size:
                    body += await stream.receive_some()
                await self.heard.send(json.loads(body))
                body = b""
            else:
                body = PAGE
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
            await stream.send_all(answer + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def next_heard(self):
        return await self._heard.receive()


@asynccontextmanager
async def browsing(url, profile):
    """Show *url* in a browser of its own, which ends with the block."""
    command = [BROWSER, *OPTIONS, f"--user-data-dir={profile}", url]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.run_process, command, check=False, capture_stderr=True))
        yield
        nursery.cancel_scope.cancel()


async def what_the_page_heard(keyring, tmp_path, *, is_listed):
    site, echo = Site(), Echo()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, site.serve, 0, host="127.0.0.1"))
        origin = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        settings = node_settings(tokens=(LISTED,))
        own = msgspec.structs.replace(settings.node, origins=(origin,) if is_listed else ())
        settings = msgspec.structs.replace(settings, node=own)
        async with open_node(settings, keyring=keyring, services=[echo]) as node:
            url = f"{origin}/#{quote(f'{node.url} {TOKEN}')}"
            with trio.fail_after(60):
                async with browsing(url, tmp_path):
                    heard = await site.next_heard()
                if is_listed:
                    await echo.has_ended()
        nursery.cancel_scope.cancel()
    return heard


@needs_browser
async def test_a_page_calls_subscribes_and_aborts(keyring, tmp_path):
    heard = await what_the_page_heard(keyring, tmp_path, is_listed=True)

    assert heard == ["page", "grüße", 0, 1, 2, 0, "NOT_FOUND", 1000, True]


@needs_browser
async def test_a_page_of_another_origin_gets_no_connection(keyring, tmp_path):
    heard = await what_the_page_heard(keyring, tmp_path, is_listed=False)

    assert heard == [1006, False]
