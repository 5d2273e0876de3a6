"""Two network namespaces, and the road between them, with the faults of a real one."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import count

from ..processes import ROOT

DEVICE = "road0"
NEAR, FAR = "10.77.0.1", "10.77.0.2"
# Several roads may be there at once.
_NUMBERS = count()


def run(*command):
    """Run *command*; raise RuntimeError with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def why_not():
    """Return why there can be no such road on this machine; None if there can."""
    if not shutil.which("ip"):
        return "there is no iproute2 here: apt-get install iproute2"
    name = f"alknet-{os.getpid()}-try"
    try:
        run("ip", "netns", "add", name)
    except RuntimeError as error:
        return f"network namespaces are not allowed here: {error}"
    try:
        if not has_netem(name) and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            return "this kernel has neither netem (CONFIG_NET_SCH_NETEM) nor /dev/net/tun"
    finally:
        run("ip", "netns", "delete", name)
    return None


def has_netem(namespace):
    """Whether the kernel can do faults itself."""
    try:
        run("ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", "lo", "root", "netem")
    except RuntimeError:
        return False
    run("ip", "netns", "exec", namespace, "tc", "qdisc", "delete", "dev", "lo", "root")
    return True


class Road:
    """What is between the namespaces `near` and `far`, whose addresses are NEAR and FAR."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.wire = None

    def have(self, *, loss=0.0, delay=0.0, reorder=0.0, mtu=1500):
        """Have the faults from now on, both ways: shares of one, and seconds."""
        for namespace in (self.near, self.far):
            run("ip", "-n", namespace, "link", "set", DEVICE, "mtu", str(mtu))
        if self.wire is not None:
            self.wire.stdin.write(
                json.dumps({"loss": loss, "delay": delay, "reorder": reorder}) + "\n"
            )
            self.wire.stdin.flush()
            assert self.wire.stdout.readline() == "done\n"
            return
        faults = ["delay", f"{delay * 1000:g}ms", "loss", f"{loss * 100:g}%"]
        if reorder:
            faults += ["reorder", f"{reorder * 100:g}%"]
        for namespace in (self.near, self.far):
            run(
                *("ip", "netns", "exec", namespace),
                *("tc", "qdisc", "replace", "dev", DEVICE, "root", "netem", *faults),
            )  # fmt: skip

    def cut(self):
        """Let nothing pass, and tell nobody."""
        self.have(loss=1.0)

    @contextmanager
    def process(self, namespace, module, *arguments):
        """Run a module of this package in *namespace*; lines go in and come out."""
        with started(
            "ip", "netns", "exec", namespace, sys.executable, "-m", f"{__package__}.{module}",
            *arguments,
        ) as process:  # fmt: skip
            yield process


@contextmanager
def started(*command):
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextmanager
def road():
    """Make two namespaces with a road between them, which has no faults yet."""
    number = next(_NUMBERS)
    near, far = (f"alknet-{os.getpid()}-{number}-{end}" for end in ("near", "far"))
    with ExitStack() as stack:
        for namespace in (near, far):
            run("ip", "netns", "add", namespace)
            stack.callback(run, "ip", "netns", "delete", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        made = Road(near, far)
        if has_netem(near):
            run(
                *("ip", "-n", near, "link", "add", DEVICE, "type", "veth"),
                *("peer", "name", DEVICE, "netns", far),
            )
        else:
            for namespace in (near, far):
                run("ip", "-n", namespace, "tuntap", "add", DEVICE, "mode", "tun")
            made.wire = stack.enter_context(
                started(sys.executable, "-m", f"{__package__}.wire", near, far, DEVICE, "1")
            )
            assert made.wire.stdout.readline() == "ready\n"
        for namespace, address in ((near, NEAR), (far, FAR)):
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", DEVICE)
            run("ip", "-n", namespace, "link", "set", DEVICE, "up")
        yield made
