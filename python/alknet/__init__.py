"""One seed phrase becomes a running node.

Open a node in this process with `open_node`, or a link to one elsewhere with `connect`; either
gives a client, and a client calls. `Service` and `handler` make a service, `Request` and
`operation` what it is asked. An `Operation` is made by hand, of an `OperationSpec` and a function.
"""

from alknet._core import __version__
from alknet.call.client import Client
from alknet.call.context import Context
from alknet.call.operation import OperationSpec
from alknet.call.stream import Stream
from alknet.connect import connect
from alknet.errors import AlknetError, CallError
from alknet.forwarding.local import open_forward
from alknet.forwarding.socks import open_socks
from alknet.identity import AccessRule, Identity
from alknet.node import Node, open_node
from alknet.protocol.error import ErrorSpec
from alknet.protocol.request import Duplex, Request, Subscription, Upload, operation
from alknet.runtime.operation import Operation
from alknet.runtime.operations import Operations
from alknet.runtime.service import Service, handler
from alknet.settings import JoinSettings, NodeSettings, Settings
from alknet.stack import load

__all__ = [
    "AccessRule",
    "AlknetError",
    "CallError",
    "Client",
    "Context",
    "Duplex",
    "ErrorSpec",
    "Identity",
    "JoinSettings",
    "Node",
    "NodeSettings",
    "Operation",
    "OperationSpec",
    "Operations",
    "Request",
    "Service",
    "Settings",
    "Stream",
    "Subscription",
    "Upload",
    "__version__",
    "connect",
    "handler",
    "load",
    "open_forward",
    "open_node",
    "open_socks",
    "operation",
]
