#!/usr/bin/python3
"""A server of releases that has every fault: server.py CERTIFICATE KEY

Serves the working directory over http and https on 127.0.0.1; writes both ports to standard output, ends when standard
input does. The first component of a path says how: see the methods do_*. It is a proxy as well: it takes absolute URLs.
"""
import collections
import email.utils
import fcntl
import http.server
import os
import re
import socket
import ssl
import struct
import sys
import termios
import threading
import time

counts = collections.Counter()
PATIENCE_S = 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        path = re.sub(r"^https?://[^/]*", "", self.path).split("?")[0]
        counts[path] += 1
        _, how, *rest = path.split("/")
        try:
            getattr(self, "do_" + how.replace("-", "_"))(*rest)
        except FileNotFoundError:
            self.answer(404, body=b"no such file")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ---- pieces ----

    def answer(self, status, headers=(), body=b"", length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def content(self, name):
        with open(name, "rb") as file:
            return file.read()

    def wanted(self, body):
        """Where the asked range begins; 0: all."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match and int(match[1]) < len(body) else 0

    def send_file(self, body, headers=(), most=None, validator='"one"'):
        """All of it or the asked range, and only `most` bytes of that; then a reset."""
        start = self.wanted(body)
        if start and self.headers.get("If-Range", validator) != validator:
            start = 0
        headers = list(headers)
        if start:
            headers.append(("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}"))
        rest = body[start:]
        self.answer(206 if start else 200, headers, rest[:most], len(rest))
        if most is not None and most < len(rest):
            self.reset()

    def reset(self):
        self.wfile.flush()
        # What was sent has to arrive before the reset overtakes it.
        until = time.monotonic() + PATIENCE_S
        while self.unsent() and time.monotonic() < until:
            time.sleep(0.001)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def unsent(self):
        """Bytes that the client's kernel has not got yet."""
        return struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, b"\0" * 4))[0]

    def wait(self):
        """For the client to go away."""
        self.wfile.flush()
        self.connection.settimeout(PATIENCE_S)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        self.close_connection = True

    # ---- good ----

    def do_file(self, name):
        self.send_file(self.content(name), [("ETag", '"one"')])

    def do_count(self, *path):
        self.answer(200, body=str(counts["/" + "/".join(path)]).encode())

    def do_echo(self):
        self.answer(200, body=(self.requestline + "\n" + str(self.headers)).encode())

    def do_unknown_length(self, name):
        self.answer(200, [("Connection", "close")], self.content(name), "none")
        self.close_connection = True

    def do_empty(self):
        self.answer(200)

    def do_api(self, *path):
        """Any host's list of releases: the file that is called as the API's version."""
        self.answer(200, [("Content-Type", "application/json")], self.content(path[0] + ".json"))

    # ---- faults that pass ----

    def do_reset(self, most, name):
        self.send_file(self.content(name), [("ETag", '"one"')], int(most))

    def do_reset_dated(self, most, name):
        """Without an ETag, but with a date that is old enough."""
        date = email.utils.formatdate(time.time() - 3600, usegmt=True)
        date = counts.setdefault("date", date)
        self.send_file(self.content(name), [("Last-Modified", date)], int(most), date)

    def do_reset_weak(self, most, name):
        """Nothing that tells one file from the other."""
        headers = [("ETag", 'W/"one"'), ("Last-Modified", email.utils.formatdate(usegmt=True))]
        self.send_file(self.content(name), headers, int(most))

    def do_reset_changing(self, most, first, second):
        """Another file from the second request on."""
        n = counts[f"/reset-changing/{most}/{first}/{second}"]
        if n == 1:
            self.send_file(self.content(first), [("ETag", '"one"')], int(most))
        else:
            self.send_file(self.content(second), [("ETag", '"two"')], None, '"two"')

    def do_reset_lying(self, most, first, second):
        """As before, but it says that it is the same one."""
        n = counts[f"/reset-lying/{most}/{first}/{second}"]
        body = self.content(first if n == 1 else second)
        self.send_file(body, [("ETag", '"one"')], int(most) if n == 1 else None)

    def do_reset_no_ranges(self, most, name):
        """Whole each time, the first time cut."""
        n = counts[f"/reset-no-ranges/{most}/{name}"]
        body = self.content(name)
        self.answer(200, [("ETag", '"one"')], body[: int(most)] if n == 1 else body, len(body))
        if n == 1:
            self.reset()

    def do_reset_wrong_range(self, most, name):
        body = self.content(name)
        n = counts[f"/reset-wrong-range/{most}/{name}"]
        if n == 2:
            # As many bytes as are missing, so that only the place gives it away.
            end = 5 + len(body) - int(most)
            headers = [("ETag", '"one"'), ("Content-Range", f"bytes 5-{end - 1}/{len(body)}")]
            self.answer(206, headers, body[5:end])
        else:
            self.send_file(body, [("ETag", '"one"')], int(most) if n == 1 else None)

    def do_reset_gone(self, most, name):
        """The range cannot be satisfied."""
        n = counts[f"/reset-gone/{most}/{name}"]
        if n == 2:
            self.answer(416)
        else:
            self.send_file(self.content(name), [("ETag", '"one"')], int(most) if n == 1 else None)

    def do_busy(self, times, name):
        if counts[f"/busy/{times}/{name}"] <= int(times):
            self.answer(503, [("Retry-After", "0")], b"busy")
        else:
            self.send_file(self.content(name))

    # ---- faults that stay ----

    def do_status(self, number, *rest):
        self.answer(int(number), body=b"no")

    def do_refuse_long(self, number):
        self.answer(int(number), body=bytes(1 << 20))

    def do_later(self, seconds, *rest):
        self.answer(429, [("Retry-After", seconds)])

    def do_stall(self, most, name):
        body = self.content(name)
        self.answer(200, [("ETag", '"one"')], body[: int(most)], len(body))
        self.wait()

    def do_silent(self, *rest):
        self.wait()

    def do_drip(self, *rest):
        self.answer(200, length=1 << 20)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def do_short(self, name):
        """Less than it says, and a proper end."""
        body = self.content(name)
        self.answer(200, [("Connection", "close")], body, len(body) + 100)
        self.close_connection = True

    def do_chunks(self, *rest):
        """More and more."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    def do_headers(self, *rest):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    def do_nonsense(self, *rest):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.close_connection = True

    def do_page(self, *rest):
        self.answer(200, [("Content-Type", "text/html; charset=utf-8")], b"<html>Sign in</html>")

    def do_disguised_page(self, *rest):
        self.answer(200, [("Content-Type", "application/gzip")], b"\n <!DOCTYPE html><html>Sign in</html>")

    # ---- redirects ----

    def do_to(self, *where):
        self.answer(302, [("Location", "/".join(where))], b"elsewhere")

    def do_loop(self, *rest):
        self.answer(302, [("Location", "/loop")])

    def do_nowhere(self, *rest):
        self.answer(302)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments):
        """Clients go away in the middle: that is what is tested."""


def serve(context=None):
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    print(serve(), serve(context), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
