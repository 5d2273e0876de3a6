"""The systemd unit that `alknet init --systemd` writes: what a node needs of a machine, no more."""

import getpass
import string
import sys
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Final

from alknet.cli.failure import Failure
from alknet.transport.address import Address, bracket

UNIT_FILE: Final = "alknet.service"
SOCKET_FILE: Final = "alknet.socket"
# The name under which systemd hands the recovery phrase over.
CREDENTIAL: Final = "alknet-phrase"

_TEMPLATE: Final = Template("""\
# The alknet node in $folder.
#
# Seal the recovery phrase for this machine, as root; it is then unsealed for the node alone, into
# memory that is never swapped. Type the phrase, Enter, and Ctrl-D:
#
#     systemd-creds encrypt --name=$credential - /etc/credstore.encrypted/$credential
#     cp $file /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now alknet
#
# To unlock it by hand after each start instead, take out LoadCredentialEncrypted= and put --locked
# in place of --phrase-credential; `alknet unlock` gives the phrase.

[Unit]
Description=alknet node
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=$python -m alknet serve --config $config --phrase-credential $credential --no-core-dumps
ExecReload=/bin/kill -HUP $$MAINPID
LoadCredentialEncrypted=$credential
User=$user
WorkingDirectory=$directory
Restart=on-failure
RestartSec=1
WatchdogSec=30
TimeoutStopSec=30

# What it may use. Secrets are locked in memory; 8 MiB hold some hundreds.
LimitMEMLOCK=8M
LimitCORE=0
LimitNOFILE=65536
UMask=0077

# What it may see and change: of the file system, its own folder.
ReadWritePaths=$folder
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes

# What it may do: speak over IP, and nothing that takes a privilege.
CapabilityBoundingSet=
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
KeyringMode=private
RemoveIPC=yes

[Install]
WantedBy=multi-user.target
""")

_SOCKET: Final = Template("""\
# Listens for the alknet node in $folder, so that nobody is turned away while it starts anew.
#
#     cp $file /etc/systemd/system/ && systemctl daemon-reload
#     systemctl enable --now alknet.socket
#
# It goes with alknet.service, which the first who connects starts, if nobody did before. What
# stands here is what `listen` in stack.toml says: change both.

[Unit]
Description=alknet node: where it listens

[Socket]
$listen
NoDelay=yes

[Install]
WantedBy=sockets.target
""")
# Those that a stream socket carries.
_STREAMS: Final = ("ws", "wss", "tcp", "tls", "ssh")


def systemd_unit(config: Path) -> str:
    """Return the unit of the node whose settings are *config*, to run as who asks for it."""
    folder = config.parent.resolve()
    return _TEMPLATE.substitute(
        folder=_quoted(folder),
        directory=str(folder).replace("%", "%%"),  # a path to the end of its line, quotes and all
        file=_quoted(folder / UNIT_FILE),
        config=_quoted(folder / config.name),
        python=_quoted(Path(sys.executable)),
        credential=CREDENTIAL,
        user=getpass.getuser(),
    )


def socket_unit(config: Path, listen: Iterable[str]) -> str:
    """Return the socket unit of the node whose settings are *config*, and say *listen*.

    Raises:
        Failure: systemd could listen at none of these URLs.
    """
    places = []
    for url in listen:
        address = Address.parse(url)
        host = "127.0.0.1" if address.host == "localhost" else address.host
        is_numeric = all(letter in string.hexdigits + ".:" for letter in host)
        if address.scheme in _STREAMS and address.port and is_numeric:
            places.append(f"ListenStream={bracket(host)}:{address.port}")
    if not places:
        raise Failure(
            f"{config}: systemd can listen for ws://, wss://, tcp://, tls:// and ssh://, at an "
            f"address and a port in digits, and `listen` says none"
        )
    folder = config.parent.resolve()
    return _SOCKET.substitute(
        folder=_quoted(folder), file=_quoted(folder / SOCKET_FILE), listen="\n".join(places)
    )


def _quoted(path: Path) -> str:
    """Return *path* as one word of a unit: its % are specifiers there, and spaces part words."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{text}"' if " " in text or '"' in text else text
