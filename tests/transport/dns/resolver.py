"""A real recursive resolver on loopback: unbound, which asks the node for its zone."""

import os
import shutil
import subprocess
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

# Debian's place is in no ordinary user's path.
UNBOUND = shutil.which("unbound", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
WHY_NOT = "there is no unbound here: apt-get install unbound"

_CONFIGURATION = """
server:
  interface: 127.0.0.1@{port}
  port: {port}
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  # No DNSSEC: nobody signs a zone of ours, nor the root that there is not.
  module-config: "iterator"
  # As resolvers do who trust nobody: upper and lower case mixed at random, and no more than the
  # next label told to each server.
  use-caps-for-id: yes
  qname-minimisation: yes
  edns-buffer-size: {edns}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: 127.0.0.1@{node}
"""


def free_port():
    """Return a port that is free for both UDP and TCP."""
    import socket

    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


class Resolver:
    """An unbound at *port*, which can be killed and started again."""

    def __init__(self, directory: Path, *, zone, node, edns=1232):
        self.port = free_port()
        self._file = directory / "unbound.conf"
        self._file.write_text(
            _CONFIGURATION.format(
                port=self.port, directory=directory, zone=zone, node=node, edns=edns
            )
        )
        self._process = None

    async def start(self):
        """Return when it answers."""
        self._process = await trio.lowlevel.open_process(
            [UNBOUND, "-dd", "-c", str(self._file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        said = b""
        with trio.fail_after(20):
            while b"start of service" not in said:
                data = await self._process.stderr.receive_some()
                assert data, f"unbound did not start: {said.decode()}"
                said += data

    async def kill(self):
        """Return when it is gone."""
        if self._process is not None:
            with trio.CancelScope(shield=True):
                self._process.kill()
                await self._process.wait()
                await self._process.stderr.aclose()
            self._process = None


@asynccontextmanager
async def resolver(directory, **options):
    """Run a resolver, started."""
    it = Resolver(directory, **options)
    try:
        await it.start()
        yield it
    finally:
        await it.kill()
