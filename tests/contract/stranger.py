"""A client that needs nothing but Python: `stranger.py URL TOKEN` calls, subscribes and aborts.

RFC 6455 by hand, JSON, and a token. It prints each answer; what it does, any language can do.
"""

import asyncio
import base64
import json
import os
import sys
from urllib.parse import urlsplit


class Stranger:
    async def open(self, url, token):
        where = urlsplit(url)
        self.reader, self.writer = await asyncio.open_connection(where.hostname, where.port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET /alknet/call HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: alknet.json\r\n\r\n".encode()
        )
        assert b" 101 " in await self.reader.readuntil(b"\r\n\r\n")
        assert (await self.hear())["type"] == "auth.challenge"
        self.say("auth.response", nonce=base64.b64encode(os.urandom(32)).decode(), token=token)
        return await self.hear()

    def say(self, type, id="", **payload):
        data = json.dumps({"type": type, "id": id, "payload": payload}).encode()
        size = len(data)
        head = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
        self.writer.write(b"\x81" + head + mask + masked)

    async def hear(self):
        _, size = await self.reader.readexactly(2)
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return json.loads(await self.reader.readexactly(size))


async def main(url, token):
    stranger = Stranger()
    print((await stranger.open(url, token))["payload"]["peer_id"])

    stranger.say("call.requested", "1", operationId="/head/echo/say", input={"text": "hi"})
    print((await stranger.hear())["payload"]["output"])

    stranger.say("call.requested", "2", operationId="/head/echo/count", input={"to": 3}, window=9)
    while (event := await stranger.hear())["type"] == "call.responded":
        print(event["payload"]["output"])
    print(event["type"])

    stranger.say("call.requested", "3", operationId="/head/echo/ticks", input={}, window=9)
    print((await stranger.hear())["payload"]["output"])
    stranger.say("call.aborted", "3")
    stranger.say("call.requested", "4", operationId="/head/echo/fail", input={})
    print((await stranger.hear())["payload"]["code"])
    stranger.writer.close()


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), timeout=10))
