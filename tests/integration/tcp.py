"""The TCP door as tests need it: an instance that has one, and what a caller says there."""

import socket

from instance import wait_until


def configuration(port, services='{idle: {command: [/bin/sleep, "1000"]}}', tcp="true"):
    """A configuration text with the door at `port`."""
    return f"daemon: {{tcp: {tcp}, port: {port}}}\nservices: {services}\n"


def addresses(instance):
    """Where the daemon says that it serves TCP."""
    return instance.status()["daemon"].get("tcp_addresses", [])


def problem(instance):
    """What the daemon says is in the way, or nothing."""
    return instance.status()["daemon"].get("tcp_problem", "")


def wait_until_served(instance, port, seconds=30.0):
    """Until 127.0.0.1:`port` is among them."""
    wait_until(lambda: f"127.0.0.1:{port}" in addresses(instance), seconds, f"TCP at {port}")


def token_file(instance):
    return instance.root / "run" / "control.token"


def bearer(instance):
    """The metadata that lets a call in."""
    return ("authorization", "Bearer " + token_file(instance).read_text().strip())


def listens(port, host="127.0.0.1"):
    """Whether anybody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False
