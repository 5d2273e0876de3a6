"""A client that uses nothing of ours: a WebSocket, JSON, and somebody else's Ed25519.

What it does in Python, a client in any other language can do.
"""

import base64
import hashlib
import json
import os
from contextlib import asynccontextmanager

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from trio_websocket import open_websocket_url


class PlainClient:
    def __init__(self, socket, *, as_text):
        self.socket = socket
        self.as_text = as_text

    async def send(self, type_, id_="", **payload):
        await self.say(json.dumps({"type": type_, "id": id_, "payload": payload}))

    async def say(self, text):
        await self.socket.send_message(text if self.as_text else text.encode())

    async def hear(self):
        return json.loads(await self.socket.get_message())

    async def shake_hands(self, private):
        """Prove to hold *private*; check the node's own proof; return what the node says."""
        challenge = (await self.hear())["payload"]
        nonce, public = os.urandom(32), private.public_key().public_bytes_raw()

        def transcript(role):
            node_key = challenge["public_key"]
            return (
                b"alknet handshake 1 " + role + b"\0"
                + hashlib.sha256(challenge["node"].encode()).digest()
                + base64.b64decode(challenge["nonce"])
                + nonce
                + (base64.b64decode(node_key) if node_key else bytes(32))
                + public
            )  # fmt: skip

        await self.send(
            "auth.response",
            nonce=base64.b64encode(nonce).decode(),
            public_key=base64.b64encode(public).decode(),
            signature=base64.b64encode(private.sign(transcript(b"client"))).decode(),
        )
        answer = await self.hear()
        if answer["type"] == "auth.accepted" and challenge["public_key"]:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(challenge["public_key"])).verify(
                base64.b64decode(answer["payload"]["signature"]), transcript(b"server")
            )
        return answer


@asynccontextmanager
async def plain_client(url, private=None, *, as_text=True, is_rude=False, subprotocols=None):
    """Open a WebSocket to the node at *url*, and with *private* shake hands.

    Who *is_rude* hangs up without a word.
    """
    async with open_websocket_url(url + "/alknet/call", subprotocols=subprotocols) as socket:
        client = PlainClient(socket, as_text=as_text)
        try:
            if private is not None:
                assert (await client.shake_hands(private))["type"] == "auth.accepted"
            yield client
        finally:
            # This library leaves the stream open when the other side has closed, and waits for a
            # reader that waits for a reader of its messages.
            if socket.closed or is_rude:
                await socket._recv_channel.aclose()
                await trio.aclose_forcefully(socket._stream)


def private_key():
    """Return a key pair of another library, and the line that lists it in stack.toml."""
    private = Ed25519PrivateKey.generate()
    return private, f"ed25519:{private.public_key().public_bytes_raw().hex()}"


class FramedSocket:
    """TCP with a length in front of each envelope, behind the face of a WebSocket."""

    def __init__(self, stream):
        self.stream = stream
        self._received = b""

    async def send_message(self, data):
        await self.stream.send_all(len(data).to_bytes(4, "big") + data)

    async def get_message(self):
        return await self._exactly(int.from_bytes(await self._exactly(4), "big"))

    async def _exactly(self, size):
        while len(self._received) < size:
            data = await self.stream.receive_some()
            if not data:
                raise EOFError
            self._received += data
        data, self._received = self._received[:size], self._received[size:]
        return data


@asynccontextmanager
async def framed_client(url, private=None):
    """Open a TCP connection to the node at *url*, and with *private* shake hands."""
    async with await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        client = PlainClient(FramedSocket(stream), as_text=False)
        if private is not None:
            assert (await client.shake_hands(private))["type"] == "auth.accepted"
        yield client
