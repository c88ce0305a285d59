"""The tables of tools/bench/rpc about the HTTP/2 door, beside grpc-go."""

import os
import re
import time

import grpc_wire
import report
from measure import percentile
from report import US
from rpc_cases import ROUNDS, SETTLE_S, Case, Rate, one_cpu, other_cpus
from rpc_peers import Server, numbers, run

ECHO = "/bench.v1.EchoService/Echo"
BOUNCE = "/bench.v1.StreamService/Bounce"


class GrpcCase(Case):
    def go_grpc_server(self, cpus):
        return Server([self.tools["gogrpc"], "server"], self.root, cpus)

    def servers(self):
        """{label: function(cpus) -> Server}"""
        found = {
            "C server (crpc listener)": lambda cpus: self.echo_server("listener", cpus),
            "C server (flocksd's transport)": lambda cpus: self.echo_server("flocksd", cpus),
        }
        if self.has("gogrpc"):
            found["grpc-go server"] = self.go_grpc_server
        return found


class GrpcRate(GrpcCase):
    """h2load and grpc-go, one connection, the server alone on one processor."""

    name = "grpc"
    IN_FLIGHT = (1, 10, 100)
    CALLS = {1: 40000, 10: 160000, 100: 320000}
    BYTES = 16

    def h2load(self, server, in_flight):
        body = self.root / "body"
        body.write_bytes(grpc_wire.message(b"a" * self.BYTES))
        calls = self.calls(self.CALLS[in_flight] // ROUNDS)
        times = self.root / "times"
        times.unlink(missing_ok=True)
        before = server.cpu_ns()
        text = run([self.tools["h2load"], "-B", f"unix:{server.path}", "-n", calls, "-c", 1, "-m", in_flight, "-d", body,
                    "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={times}",
                    f"http://localhost{ECHO}"], other_cpus())  # fmt: skip
        used = server.cpu_ns() - before
        if f"{calls} succeeded" not in text:
            raise RuntimeError(f"h2load: {text}")
        rate = float(re.search(r"([0-9.]+) req/s", text).group(1))
        took = [int(line.split()[2]) * 1000 for line in times.read_text().splitlines()]
        return {"calls": calls, "ns": calls / rate * 1e9, "server_ns": used, "times": took}

    def go(self, server, in_flight):
        """grpc-go as the client; every answer is looked at."""
        calls = self.calls(self.CALLS[in_flight] // 4 // ROUNDS)
        before = server.cpu_ns()
        command = [self.tools["gogrpc"], "load", server.path, calls, self.BYTES, in_flight]
        done, took = (int(word) for word in run(command, other_cpus()).split())
        return {"calls": done, "ns": took, "server_ns": server.cpu_ns() - before}

    def rows(self):
        found = {}
        if self.has("h2load"):
            for label, make in self.servers().items():
                found[f"h2load, {label}"] = (make, self.h2load)
        if self.has("gogrpc"):
            for label, make in self.servers().items():
                found[f"grpc-go client, {label}"] = (make, self.go)
        return found

    def check(self, make_server):
        """h2load does not look at the answers."""
        with make_server(one_cpu()) as server:
            numbers([self.tools["gogrpc"], "client", server.path, 1, self.BYTES], other_cpus())

    def measure(self):
        self.results = {}
        if self.has("gogrpc"):
            for make_server in self.servers().values():
                self.check(make_server)
        for _ in range(ROUNDS):
            for label, (make_server, load) in self.rows().items():
                with make_server(one_cpu()) as server:
                    for in_flight in self.IN_FLIGHT:
                        found = load(server, in_flight)
                        self.results.setdefault(label, {}).setdefault(in_flight, []).append(found)
        return {label: {in_flight: [{**one, "times": None} for one in runs]
                        for in_flight, runs in found.items()}
                for label, found in self.results.items()}

    def table(self):
        header = ["thousand calls a second: by the clock / of server processor time"]
        header += [f"{n} in flight" for n in self.IN_FLIGHT]
        rows = [[label, *(Rate.rates(found[n]) for n in self.IN_FLIGHT)]
                for label, found in self.results.items()]
        text = report.table("gRPC, one connection, the server on one processor, 16 bytes each way",
                            header, rows)
        header = ["h2load: p50 / p99 us of a call"] + [f"{n} in flight" for n in self.IN_FLIGHT]
        rows = []
        for label, found in self.results.items():
            if "times" not in found[1][0]:
                continue
            all_times = [[ns for one in found[n] for ns in one["times"]] for n in self.IN_FLIGHT]
            rows.append([label, *(report.pair(times, US, 0) for times in all_times)])
        return text + "\n" + report.table("The same calls, how long each took", header, rows)


class GrpcLeaks(GrpcCase):
    """What connections and cancelled calls leave behind in a server."""

    name = "grpc-leaks"
    CONNECTIONS = 10000
    CANCELLED = 100000
    # Below what resets one connection may bring (docs/protocol.md).
    CANCELLED_PER_CONNECTION = 500

    @staticmethod
    def _descriptors(server):
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    def _settled(self, server):
        """(PSS in KiB, descriptors) when the last connections are gone."""
        for _ in range(50):
            time.sleep(SETTLE_S)
            if self._descriptors(server) <= self.descriptors_at_rest + 1:
                break
        return server.pss_kib(), self._descriptors(server)

    def _connect_and_call(self, server, count):
        headers, body = grpc_wire.request_headers(ECHO), grpc_wire.message(b"a" * 16)
        for _ in range(count):
            with grpc_wire.Connection(server.path) as connection:
                connection.call(headers, body)

    def _cancel(self, server, count):
        """Of a call whose handler is at work: a stream of ours, and of Go, whose echo waits for its request."""
        is_go = self.has("gogrpc") and server.command[0] == str(self.tools["gogrpc"])
        headers = grpc_wire.request_headers(ECHO if is_go else BOUNCE)
        for _ in range(max(1, count // self.CANCELLED_PER_CONNECTION)):
            with grpc_wire.Connection(server.path) as connection:
                connection.open_and_cancel(headers, self.CANCELLED_PER_CONNECTION)

    def measure(self):
        self.results = {}
        for label, make_server in self.servers().items():
            with make_server(one_cpu()) as server:
                # A tenth first: what a server keeps for good is not what leaks.
                self.descriptors_at_rest = self._descriptors(server)
                self._connect_and_call(server, self.calls(self.CONNECTIONS // 10))
                self._cancel(server, self.calls(self.CANCELLED // 10))
                found = {"before": self._settled(server)}
                self._connect_and_call(server, self.calls(self.CONNECTIONS))
                found["connections"] = self._settled(server)
                self._cancel(server, self.calls(self.CANCELLED))
                found["cancelled"] = self._settled(server)
                self.results[label] = found
        return self.results

    def table(self):
        header = ["PSS KiB, descriptors", "after a tenth of it", f"{self.calls(self.CONNECTIONS):,} connections later",
                  f"{self.calls(self.CANCELLED):,} cancelled calls later"]  # fmt: skip
        rows = [[label, *(f"{kib}, {descriptors}" for kib, descriptors in found.values())]
                for label, found in self.results.items()]
        return report.table("What stays", header, rows)


ALL = (GrpcRate, GrpcLeaks)
