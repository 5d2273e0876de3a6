"""Sends numbered datagrams to who echoes them: `probe echo ADDRESS` and `probe send ADDRESS`.

It prints, as JSON, the share that came back, the share of these that an earlier one came behind, the
shortest time that one took, in seconds, and whether a datagram of 1,400 bytes could be sent at all.
"""

import json
import socket
import sys
import time
from itertools import pairwise

PORT = 7
COUNT = 100
# Linux: <netinet/in.h>. Never split what does not fit.
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


def echo(address):
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind((address, PORT))
        print("ready", flush=True)
        while True:
            data, sender = udp.recvfrom(2048)
            udp.sendto(data, sender)


def send(address):
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        udp.connect((address, PORT))
        try:
            udp.send(bytes(1400))
            fits = True
        except OSError:
            fits = False
        order, quickest, sent = [], [], {}
        for number in range(COUNT):
            sent[number] = time.monotonic()
            udp.send(b"%d" % number)
            udp.settimeout(0.004)
            hear(udp, sent, order, quickest)
        # The last ones, and all that is late because the machine is busy.
        udp.settimeout(2.0)
        hear(udp, sent, order, quickest)
        late = sum(later < earlier for earlier, later in pairwise(order))
        came = len(order) / COUNT
        print(json.dumps([came, late / max(len(order), 1), min(quickest, default=0), fits]))


def hear(udp, sent, order, quickest):
    try:
        while len(order) < COUNT:
            data = udp.recv(2048)
            if data.isdigit():
                order.append(int(data))
                quickest.append(time.monotonic() - sent[int(data)])
    except TimeoutError:
        return


if __name__ == "__main__":
    {"echo": echo, "send": send}[sys.argv[1]](sys.argv[2])
