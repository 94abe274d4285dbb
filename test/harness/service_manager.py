"""What systemd does for a service: hands over sockets, and hears how it is."""
import fcntl
import os
import socket

from .deadline import DEADLINE


class ServiceManager:
    """Gateway(..., **manager.service(sockets)) starts as a unit of Type=notify with these (name, socket)."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self._states = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._states.bind(self.path)
        os.chmod(self.path, 0o777)
        self._states.settimeout(DEADLINE)
        self.told = []  # every state, as it came
        self._descriptors = []

    def close(self):
        self._states.close()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def service(self, *sockets, **environment):
        # Out of the way of the numbers that they get.
        self._descriptors = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 100) for _, each in sockets]
        redirect = " ".join(f"{3 + n}<&{descriptor}" for n, descriptor in enumerate(self._descriptors))
        script = f'exec {redirect}; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@"' if sockets else 'exec "$@"'
        names = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(name for name, _ in sockets)}
        return {"wrapper": ["bash", "-c", script, "service"], "descriptors": self._descriptors,
                "environment": {"NOTIFY_SOCKET": self.path} | names | environment}

    def hear(self, state):
        """Until this line is told; returns all lines of its message."""
        while True:
            lines = self._states.recv(65536).decode().split("\n")
            self.told += lines
            if state in lines:
                return lines
