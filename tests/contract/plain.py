"""A client that uses nothing of ours: a WebSocket, JSON, and somebody else's Ed25519.

What it does in Python, a client in any other language can do.
"""

import base64
import hashlib
import json
import os
from contextlib import asynccontextmanager

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
async def plain_client(url, private=None, *, as_text=True, subprotocols=None):
    """Open a WebSocket to the node at *url*, and with *private* shake hands."""
    async with open_websocket_url(url + "/alknet/call", subprotocols=subprotocols) as socket:
        client = PlainClient(socket, as_text=as_text)
        if private is not None:
            assert (await client.shake_hands(private))["type"] == "auth.accepted"
        yield client


def private_key():
    """Return a key pair of another library, and the line that lists it in stack.toml."""
    private = Ed25519PrivateKey.generate()
    return private, f"ed25519:{private.public_key().public_bytes_raw().hex()}"
