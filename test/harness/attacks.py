"""Clients that make a server hold memory: each attack opens connections of some addresses of this machine for as long as it
lasts, replaces those that are ended, and reads nothing that it need not read."""
import json
import multiprocessing
import os
import select
import socket
import time

from .client import HANDSHAKE, TEXT, encode_frame

MEGABYTE = 1_000_000
# 1,000 bytes in UTF-8, 3,000 as they are stored.
LONG = "\u00e9" * 490


def websocket(number, cookie=False):
    headers = HANDSHAKE | ({"Cookie": f"session_id={os.urandom(32).hex()}"} if cookie else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET /websocket?n={number} HTTP/1.1\r\n{lines}\r\n".encode()


def subscribe(channels):
    event = {"event_name": "subscribe", "data": {"channels": channels, "last": 0}}
    return encode_frame(TEXT, json.dumps(event, ensure_ascii=False).encode())


def long_names(number, count=1_000):
    return [f"{os.getpid()}.{number}.{n}.{LONG}" for n in range(count)]


def unfinished_head(number):
    return b"GET /websocket HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 15_000


def unfinished_body(number):
    return b"POST /bus/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1_048_000


def unfinished_chunks(number):
    chunk = b"ffff\r\n" + b"x" * 0xffff + b"\r\n"
    return b"POST /longpolling/poll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 15


def unfinished_message(number):
    return websocket(number) + encode_frame(TEXT, b"x" * MEGABYTE, fin=False)


def long_channels(number):
    return websocket(number) + subscribe(long_names(number))


def many_channels(number):
    return websocket(number) + subscribe([f"{os.getpid()}.{number}.{n}" for n in range(1_000)])


def streams(number):
    query = ",".join(f"{os.getpid()}.{number}.{n}" for n in range(900))
    return f"GET /bus/events?channels={query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def slow_reader(number):
    return websocket(number) + subscribe(["everyone"])


def waiting_subscribes(number):
    """While Odoo has not answered the first one."""
    return websocket(number, cookie=True) + subscribe(long_names(number)) * 8


def made_up_cookies(number):
    """Each is a session of its own, with a grant of its own."""
    return websocket(number, cookie=True) + subscribe(long_names(number, 300))


# What a connection sends, and how many of them there are for each address.
ATTACKS = {each.__name__: (each, count) for each, count in [
    (unfinished_head, 900), (unfinished_body, 200), (unfinished_chunks, 200), (unfinished_message, 200), (long_channels, 80),
    (many_channels, 400), (streams, 400), (slow_reader, 300)]}
ON_ODOO = {each.__name__: (each, count) for each, count in [(waiting_subscribes, 100), (made_up_cookies, 100)]}


def is_ended(connection):
    """By the server, whatever it has sent before."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def run(attack, count, port, addresses, until):
    os.nice(19)  # those that are attacked, and those that measure, have the processor first
    connections = {address: [] for address in addresses}
    number = 0
    while time.monotonic() < until:
        for address, opened in connections.items():
            for ended in [each for each in opened if is_ended(each)]:
                ended.close()
                opened.remove(ended)
            for _ in range(min(20, count - len(opened))):
                number += 1
                client = socket.socket()
                client.settimeout(1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                try:
                    client.bind((address, 0))
                    client.connect(("127.0.0.1", port))
                    client.sendall(attack(number))
                    opened.append(client)
                except OSError:
                    client.close()
        time.sleep(0.05)


class Attack:
    """with Attack([...], port, seconds): each attack of the list in a process of its own, from two addresses."""

    def __init__(self, attacks, port, seconds):
        until = time.monotonic() + seconds
        self.processes = [
            multiprocessing.Process(target=run, daemon=True, args=(
                attack, count, port, [f"127.{10 + number}.0.1", f"127.{10 + number}.0.2"], until))
            for number, (attack, count) in enumerate(attacks)]

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def is_over(self):
        return not any(process.is_alive() for process in self.processes)

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()
