"""The holding page: it stands in for the WebUI from the end of the old process to the start of the new one, gives the
port back at once, and is nobody's holder."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest
from instance import PYTHON, SERVICES, is_alive, wait_until
from leased import Leased

pytestmark = pytest.mark.no_chaos(reason="speaks over one connection, and kills flocksd itself while the page is open")

REQUEST = b"GET /deep/link HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n"


def get(port, path="/", host="127.0.0.1", method="GET", **headers):
    """(status, headers, body) of one request; None: nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    with closing(connection):
        try:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None


def is_page(answer):
    return answer is not None and answer[0] == 503 and answer[1]["Flocks-Holding-Page"] == "1"


class Web(Leased):
    """Its webui binds without SO_REUSEADDR, in the release's directory."""

    def __init__(self, instance, stubs, ports, extra="", host="127.0.0.1", options="", more=""):
        command = f'[{PYTHON}, {SERVICES}/webui.py, "${{host}}", "${{port}}"{options}]'
        super().__init__(
            instance,
            stubs,
            ports,
            extra,
            webui=f'{{command: {command}, directory: {instance.root}/current, host: "{host}", port: {ports[1]},'
            f" after: [backend], stop: {{grace: 2s}}{more}}}",
        )
        self.port = ports[1]

    def begin(self, *arguments, **options):
        """Nothing but a test that says so waits for its end."""
        return super().begin(*arguments, **{"ttl": 600, **options})

    def ask(self, *arguments, **options):
        return get(self.port, *arguments, **options)

    def flocksd(self):
        return self.instance.status()["daemon"]["pid"]

    def hold(self, **options):
        """A lease whose services have ended, and its page is open."""
        lease = self.begin(holding_page=True, **options)
        self.stop_services(lease)
        self.wait_for_page()
        return lease

    def wait_for_page(self, seconds=30.0):
        wait_until(lambda: is_page(self.ask()), seconds, "the holding page")

    def wait_for_release(self, release):
        def serves():
            answer = self.ask()
            return answer and answer[0] == 200 and f"release {release}<" in answer[2]

        wait_until(serves, 30, f"release {release}")

    def page_address(self, lease):
        return self.get(lease.id).lease.holding_page_address


@pytest.fixture
def web(instance, stubs, free_port):
    web = Web(instance, stubs, (free_port(), free_port()), options=", plain")
    instance.start()
    return web


def bind(other, port):
    """Binds within a time that is far shorter than any TIME_WAIT; the last thread of the dead closes its sockets."""

    def is_bound():
        try:
            other.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False

    wait_until(is_bound, 20, "a free port")


@contextmanager
def rude_clients(port):
    """Connections in every state that people leave them in."""
    clients = []
    try:
        for text in (b"", b"", b"GET / HTTP/1.1\r\nHo", b"POST /api HTTP/1.1\r\nContent-Length: 9000\r\n\r\nx", REQUEST):
            for _ in range(3):
                clients.append(socket.create_connection(("127.0.0.1", port), 10))
                clients[-1].sendall(text)
        for client in clients[-6:]:
            assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
        yield clients
    finally:
        for client in clients:
            client.close()


# ---- from the stop to the start ----


def test_page_stands_in_until_the_new_version_answers(web):
    lease = web.begin(holding_page=True)
    assert lease.holding_page and lease.holding_page_address == ""
    assert web.ask()[0] == 200
    web.stop_services(lease)
    web.wait_for_page()

    status, headers, body = web.ask("/deep/link?a=b", Accept_Language="zh-CN,en;q=0.5", Accept="text/html")
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "2", "no-store")
    assert headers["Content-Language"] == "zh-CN" and "正在安装新版本" in body
    status, headers, body = web.ask("/api/health", method="POST", Accept="*/*")
    assert status == 503 and json.loads(body)["error"] == "UPDATING"
    status, headers, body = web.ask("/x", method="HEAD")
    assert status == 503 and body == "" and int(headers["Content-Length"]) > 1000

    shown = web.instance.status()
    assert [entry["holding_page_address"] for entry in shown["leases"]] == [f"127.0.0.1:{web.port}"]
    webui = next(s for s in shown["services"] if s["name"] == "webui")
    assert (webui["state"], webui["listener"]) == ("SERVICE_STATE_PAUSED", "LISTENER_STATE_UNSPECIFIED")
    assert f"holding page at 127.0.0.1:{web.port}" in web.instance.flocks("status").stdout
    assert f"holding page at 127.0.0.1:{web.port}" in web.instance.flocks("why", "webui").stdout

    web.switch()
    web.commit(lease)
    web.wait_for_phase("COMMITTED", lease.id)
    web.wait_for_release("2")
    assert web.page_address(lease) == ""
    # It bound at the first attempt, and nobody was taken for a foreign holder.
    assert web.instance.service("webui")["generation"] == 2
    assert "PORT_HELD" not in web.instance.daemon_log() and "Errno" not in web.instance.log("webui")


def test_page_gives_the_port_back_whatever_its_clients_do(web):
    for commits in (True, False):
        lease = web.hold(undo=False)
        generation = web.instance.service("webui")["generation"]
        with rude_clients(web.port):
            if commits:
                web.commit(lease)
            else:
                web.abort(lease)
            web.wait_for_phase("COMMITTED" if commits else "ROLLED_BACK", lease.id)
            web.wait_for_release("1")
        assert web.instance.service("webui")["generation"] == generation + 1
    assert "Errno" not in web.instance.log("webui")


def test_page_stays_through_dependencies_and_prepare_steps(instance, stubs, free_port):
    gates = [instance.root / "gate-backend", instance.root / "gate-webui"]
    waits = "prepare: {{command: [/bin/sh, -c, 'until test -e {}; do sleep 0.05; done']}}"
    web = Web(instance, stubs, (free_port(), free_port()), options=", plain", more=", " + waits.format(gates[1]))
    text = instance.config.read_text()
    instance.write(text.replace("  backend:\n", f"  backend:\n    {waits.format(gates[0])}\n"))
    for gate in gates:
        gate.touch()
    instance.start()
    lease = web.hold()
    for gate in gates:
        gate.unlink()
    web.commit(lease, wait=False)
    web.wait_for_states(backend="PREPARING", webui="WAITING")
    assert is_page(web.ask())
    gates[0].touch()
    web.wait_for_states(webui="PREPARING")
    assert is_page(web.ask())
    gates[1].touch()
    web.wait_for_phase("COMMITTED", lease.id)
    web.wait_for_release("1")


# ---- every end ----


def test_page_goes_with_the_lease_however_it_ends(web):
    """Expired, stopped by a person, shut down."""
    lease = web.begin(holding_page=True, ttl=5)
    web.switch()
    web.stop_services(lease)
    web.wait_for_phase("ROLLED_BACK", lease.id)
    web.wait_for_release("1")

    lease = web.hold()
    web.instance.stop("webui")
    assert web.ask() is None
    web.wait_for_phase("ROLLED_BACK", lease.id)
    assert web.ask() is None and web.page_address(lease) == ""
    web.instance.flocks("start", "--no-browser", "webui", check=0)
    web.wait_for_release("1")

    with_page = web.hold()
    with rude_clients(web.port):
        web.instance.stop()
    assert web.ask() is None and with_page.id
    web.instance.start()
    web.wait_for_release("1")
    assert "Errno" not in web.instance.log("webui")


def test_page_says_so_when_the_roll_back_is_stuck(web):
    lease = web.hold()
    web.link.unlink()
    web.link.mkdir()
    (web.link / "version").write_text("made by hand")
    web.abort(lease)
    web.wait_for_phase("ROLLBACK_FAILED", lease.id)
    wait_until(lambda: "UPDATE_STUCK" in web.ask("/api")[2], what="the page's words")
    assert "更新未能完成" in web.ask(Accept_Language="zh")[2]
    (web.link / "release.py").write_text((SERVICES / "release.py").read_text())
    web.instance.flocks("start", "--no-browser", "backend", "webui", check=0)
    web.wait_for_release("made by hand")


def test_page_is_only_where_it_is_wanted(web):
    # Not asked for.
    lease = web.begin()
    web.stop_services(lease)
    assert web.ask() is None and not lease.holding_page
    web.abort(lease)
    web.wait_for_release("1")
    # Stopped before: it stays stopped, and nobody waits for it.
    web.instance.stop("webui")
    lease = web.begin(holding_page=True)
    web.stop_services(lease)
    assert web.ask() is None and web.page_address(lease) == ""
    web.abort(lease)
    web.wait_for_phase("ROLLED_BACK", lease.id)
    web.instance.flocks("start", "--no-browser", "webui", check=0)
    # Not under the lease.
    lease = web.begin(services=["backend"], holding_page=True)
    os.kill(web.instance.pid("webui"), signal.SIGKILL)
    web.wait_for_release("1")
    assert web.page_address(lease) == ""
    web.abort(lease)
    web.wait_for_phase("ROLLED_BACK", lease.id)
    # Switched off; that is taken by a change of the configuration, without a restart.
    pid = web.instance.pid("webui")
    web.instance.write(web.instance.config.read_text() + 'update: {holding_page: ""}\n')
    web.instance.flocks("config", "apply", "--yes", check=0)
    assert web.instance.pid("webui") == pid
    lease = web.begin(holding_page=True)
    web.stop_services(lease)
    assert web.ask() is None


# ---- who dies ----


def kill_flocksd_alone(web):
    """Killed, with nobody to start the next one before the context ends."""
    daemon = web.instance.status()["daemon"]

    @contextmanager
    def dead():
        os.kill(daemon["keeper_pid"], signal.SIGSTOP)
        try:
            os.kill(daemon["pid"], signal.SIGKILL)
            wait_until(lambda: not is_alive(daemon["pid"]), what="the end of flocksd")
            yield
        finally:
            os.kill(daemon["keeper_pid"], signal.SIGCONT)

    return dead()


def test_page_is_opened_again_after_kill_9_of_flocksd(web):
    lease = web.hold()
    with rude_clients(web.port):
        # Its death leaves nothing on the port either.
        with kill_flocksd_alone(web), socket.socket() as other:
            bind(other, web.port)
        web.wait_for_page()
        assert web.page_address(lease) == f"127.0.0.1:{web.port}"
        web.kill_flocksd()
        web.commit(lease)
    web.wait_for_phase("COMMITTED", lease.id)
    web.wait_for_release("1")
    assert "Errno" not in web.instance.log("webui")


def test_page_is_opened_again_after_a_hand_over(web):
    lease = web.hold()
    before = web.flocksd()
    os.kill(before, signal.SIGUSR1)
    wait_until(lambda: web.flocksd() not in (0, before), what="another flocksd")
    web.wait_for_page()
    web.abort(lease)
    web.wait_for_release("1")


def test_page_is_not_left_when_everybody_dies(web):
    web.hold()
    web.switch()
    web.kill_both()
    assert web.ask() is None
    web.instance.start()
    web.wait_for_release("1")


def test_page_waits_for_a_port_that_is_taken(web):
    lease = web.hold()
    with socket.socket() as other:
        with kill_flocksd_alone(web):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bind(other, web.port)
            other.listen()
        # Whoever has it is left alone, and the lease says that the page is not there.
        wait_until(lambda: "holding page not open" in web.instance.daemon_log(), what="the warning")
        assert web.page_address(lease) == ""
        assert web.phase(lease.id) == "HELD"
    web.wait_for_page()
    assert web.instance.daemon_log().count("holding page not open") == 1
    web.commit(lease)
    web.wait_for_release("1")


# ---- crowds ----


def test_page_survives_a_crowd(web):
    """Connections that say nothing, and more than there is room for: it answers, and flocksd does its work."""
    lease = web.hold()
    descriptors = f"/proc/{web.flocksd()}/fd"
    before = len(os.listdir(descriptors))
    over = threading.Event()

    def flood():
        clients = []
        while not over.is_set():
            try:
                clients.append(socket.create_connection(("127.0.0.1", web.port), 1))
                clients[-1].sendall(b"GET / HTTP/1.1\r\nX: ")
            except OSError:
                pass
            while len(clients) > 200:
                clients.pop(0).close()
        for client in clients:
            client.close()

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        most = 0
        answered = 0
        until = time.monotonic() + 60
        while answered < 10 and time.monotonic() < until:
            # One that is pushed out comes again, as browsers do.
            answered += is_page(web.ask())
            most = max(most, len(os.listdir(descriptors)))
            web.renew(lease)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert answered == 10
    # 64 connections, and what the control socket has besides.
    assert most - before <= 64 + 16
    web.commit(lease)
    web.wait_for_release("1")
    assert "Errno" not in web.instance.log("webui")


def test_page_refuses_what_is_no_request(web):
    lease = web.hold()
    for text, status in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nCookie: " + b"c" * 20000, b"431"),
        (b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"503"),
    ):
        with socket.create_connection(("127.0.0.1", web.port), 10) as client:
            client.sendall(text)
            # What is not read here is not there: it would be in the same piece.
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 " + status) and answer.count(b"HTTP/1.1") == 1
    web.abort(lease)


# ---- places ----


@pytest.mark.parametrize("host, reached", [("localhost", "::1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.2")])
def test_page_answers_where_the_service_did(instance, stubs, free_port, host, reached):
    web = Web(instance, stubs, (free_port(), free_port()), host=host)
    instance.start()
    lease = web.begin(holding_page=True)
    web.stop_services(lease)
    wait_until(lambda: is_page(get(web.port, host=reached)), what="the page")
    web.commit(lease)
    web.wait_for_phase("COMMITTED", lease.id)
    web.wait_for_states(webui="HEALTHY")
