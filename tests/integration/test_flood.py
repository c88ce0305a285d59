"""Idle and half-open clients at the bound: status answers, and a killed child is replaced."""

import os
import signal
import socket

SLEEPER = 'services: {ticker: {command: [/bin/sleep, "1000"]}}\n'


def test_idle_clients_do_not_hurt_supervision(instance):
    instance.write(SLEEPER)
    instance.start()
    clients = []
    try:
        for number in range(800):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(instance.root / "run" / "flocksd.sock"))
            if number % 8 == 0:
                client.sendall(b"\x00\x00")
            clients.append(client)
        for _ in range(5):
            before = instance.service("ticker")
            os.kill(before["pid"], signal.SIGKILL)
            after = instance.wait_for_generation("ticker", before["generation"], 5)
            assert after["restart_count"] == before["restart_count"] + 1
    finally:
        for client in clients:
            client.close()
    instance.flocks("status", check=0)


def test_garbage_first_byte_is_closed(instance):
    instance.write(SLEEPER)
    instance.start()
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(instance.root / "run" / "flocksd.sock"))
        client.sendall(garbage)
        assert client.recv(64) == b""
        client.close()
    instance.flocks("status", check=0)
