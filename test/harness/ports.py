"""Ports for the servers of tests, reserved among all processes of this machine."""
import fcntl
import os
import random
import socket

# Below the range from which outgoing connections draw theirs, so that a server finds its port free when it is started again.
PORTS = range(15000, 32000)
LOCKS = "/tmp/odoo_bus_ports"  # not in TMPDIR, of which every run has its own

_locks = None
_reserved = set()


def reserve_port(adjacent=1, ports=PORTS):
    """A port of 127.0.0.1 that no other process draws while this one runs, or the first of so many adjacent ones.

    A reserved port is a locked byte of a file: the kernel unlocks it when the process ends, however it ends.
    """
    for first in random.sample(ports, len(ports)):
        drawn = range(first, first + adjacent)
        if drawn[-1] in ports and all(_reserve(port) for port in drawn) and all(_is_free(port) for port in drawn):
            return first
    raise RuntimeError(f"no port from {ports[0]} to {ports[-1]} is free")


def _reserve(port):
    global _locks
    if port in _reserved:  # a process may lock again what it has locked
        return False
    if _locks is None:
        _locks = _open_locks()
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


def _open_locks():
    """Of every user: a file that exists in a sticky directory may not be opened with O_CREAT by other users than its own."""
    while True:
        try:
            return os.open(LOCKS, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            try:
                locks = os.open(LOCKS, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
            except FileExistsError:
                continue
            os.fchmod(locks, 0o666)
            return locks


def _is_free(port):
    """No server of anything else than tests listens there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
