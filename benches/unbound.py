"""unbound, a real recursive resolver: how it is run on loopback between a client and a node."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# Debian's place for it is in no ordinary user's path.
UNBOUND: Final = shutil.which("unbound", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
WHY_NOT: Final = "there is no unbound here: apt-get install unbound"
# It says so when it answers.
READY: Final = b"start of service"

_CONFIGURATION: Final = """
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


def command(directory: Path, *, port: int, zone: str, node: int, edns: int = 1232) -> list[str]:
    """Return what runs a resolver at *port* that asks the name server at port *node* for *zone*.

    It is configured by a file in *directory*, takes datagrams of *edns* bytes, and says `READY` on
    stderr.
    """
    assert UNBOUND is not None, WHY_NOT
    file = directory / "unbound.conf"
    file.write_text(
        _CONFIGURATION.format(port=port, directory=directory, zone=zone, node=node, edns=edns)
    )
    return [UNBOUND, "-dd", "-c", str(file)]


def free_port() -> int:
    """Return a port that is free for both UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


@contextmanager
def running(zone: str, node: int) -> Iterator[int]:
    """Run a resolver and yield its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        arguments = command(Path(directory), port=port, zone=zone, node=node)
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if READY in line:
                    break
            yield port
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
