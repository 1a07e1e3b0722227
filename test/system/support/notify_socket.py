"""Stands where a service manager does: prints each datagram that comes to a socket, with the pid of its sender, as JSON."""

import json
import socket
import struct
import sys

name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
receiver.bind("\0" + name[1:] if name.startswith("@") else name)
print(json.dumps({"listens": name}), flush=True)
while True:
    datagram, attached, _, _ = receiver.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = next(struct.unpack("3i", data)[0] for _, kind, data in attached if kind == socket.SCM_CREDENTIALS)
    print(json.dumps({"pid": pid, "lines": datagram.decode().split("\n")}), flush=True)
