"""Other servers that fan out, when they are installed: nchan and nats-server from Debian, `ws` for Node from npm."""


def installed(*names):
    return []
