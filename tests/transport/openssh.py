"""The programs of OpenSSH, run against nodes: a client, with files of its own in a folder."""

import json
import shutil
import subprocess
from contextlib import asynccontextmanager

import pytest
import trio

from alknet.keys import ssh_public_line

needs_openssh = pytest.mark.skipif(
    not (shutil.which("ssh") and shutil.which("ssh-keygen")),
    reason="there is no OpenSSH client on this machine",
)


class OpenSsh:
    """A user of `ssh` with the key *key*, who believes the node whose identity is *identity*."""

    def __init__(self, folder, url, key, identity):
        self.folder = folder
        self.port = url.rpartition(":")[2]
        self.key = folder / "id"
        self.write_key(self.key, key)
        (folder / "known_hosts").write_text(f"@cert-authority * {ssh_public_line(identity)}\n")

    @staticmethod
    def write_key(path, key):
        path.write_text(key.to_openssh())
        path.chmod(0o600)

    def command(self, *arguments, **options):
        options = {
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "ControlPath": "none",
            "LogLevel": "INFO",
            **options,
        }
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-p", self.port, *given, *arguments]

    async def run(self, *arguments, stdin=b"", **options):
        """Run ssh to its end; return its CompletedProcess, with stderr as text."""
        with trio.fail_after(20):
            done = await trio.run_process(
                self.command(*arguments, **options),
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        done.stderr = done.stderr.decode()
        return done

    @asynccontextmanager
    async def running(self, *arguments, **options):
        """Yield ssh as it runs, with pipes; kill it when the block is left."""
        async with trio.open_nursery() as nursery:
            process = await nursery.start(self._start, self.command(*arguments, **options))
            try:
                yield process
            finally:
                process.kill()

    async def _start(self, command, *, task_status):
        await trio.run_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            task_status=task_status,
        )

    @asynccontextmanager
    async def calling(self, *arguments, **options):
        """Yield the subsystem `alknet`, when it has let us in."""
        async with self.running(*arguments, "-s", "127.0.0.1", "alknet", **options) as process:
            client = Frames(process.stdin, process.stdout)
            assert json.loads(await client.hear())["type"] == "auth.accepted"
            yield client


class Frames:
    """Envelopes with a length in front, both ways."""

    def __init__(self, there, back):
        self.there, self.back = there, back
        self._received = b""

    async def say(self, data):
        await self.there.send_all(len(data).to_bytes(4, "big") + data)

    async def hear(self):
        with trio.fail_after(10):
            return await self._exactly(int.from_bytes(await self._exactly(4), "big"))

    async def call(self, operation, **input):
        """Call *operation* and return its output; nothing else is under way."""
        payload = {"operationId": operation, "input": input}
        request = {"type": "call.requested", "id": "1", "payload": payload}
        await self.say(json.dumps(request).encode())
        return json.loads(await self.hear())["payload"]["output"]

    async def _exactly(self, size):
        while len(self._received) < size:
            data = await self.back.receive_some()
            if not data:
                raise EOFError
            self._received += data
        data, self._received = self._received[:size], self._received[size:]
        return data
