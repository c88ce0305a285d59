"""Ports for services that are started later."""

import random
import socket

# Below those that the kernel gives to whoever connects or binds to none (ip_local_port_range).
LOWEST, BEYOND = 15000, 32000
_claims = []


def _is_claimed(port):
    """Takes a name for the rest of this process' life; false: another one has it, or this one took it before."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0flocks-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
            return True
        except OSError:
            return False


def free_port():
    """A port that nobody has now, that nobody gets by chance while nobody listens, and that no test asks for twice: not
    this one, not those that run beside it."""
    while True:
        port = random.randrange(LOWEST, BEYOND)
        if _is_claimed(port) and _is_free(port):
            return port
