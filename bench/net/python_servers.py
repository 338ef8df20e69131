"""The tutorial's echo servers in Python, without the upper-casing: `python_servers.py threads|gevent|udp PORT`.

`threads` gives each connection a thread, `gevent` a coroutine, `udp` answers one datagram after the other.
"""

import sys

kind, port = sys.argv[1], int(sys.argv[2])
if kind == "gevent":
    from gevent import monkey, spawn

    monkey.patch_all()

import socket
import threading


def talk(connection):
    with connection:
        while True:
            try:
                data = connection.recv(65536)
                if not data:
                    return
                connection.sendall(data)
            except ConnectionError:
                return


def serve_tcp(start):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    while True:
        connection, _ = listener.accept()
        start(connection)


def serve_udp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    while True:
        data, client = server.recvfrom(1024)
        server.sendto(data, client)


if kind == "udp":
    serve_udp()
elif kind == "gevent":
    serve_tcp(lambda connection: spawn(talk, connection))
else:
    serve_tcp(lambda connection: threading.Thread(target=talk, args=(connection,), daemon=True).start())
