"""The tables of tools/bench/rpc. A case measures everything it compares in rounds, one after the other,
so that a noisy moment meets all of them; judging is left to whoever reads the ratios.

Every case: name, measure() -> what --json keeps, table() -> Markdown."""

import contextlib
import os
import time

import report
import systems
from measure import percentile
from report import US
from rpc_peers import Server, numbers, run

ROUNDS = 8
SETTLE_S = 0.2


def all_cpus():
    return sorted(os.sched_getaffinity(0))


def one_cpu():
    return {all_cpus()[0]}


def other_cpus():
    """Where a client runs while a server has one_cpu() for itself."""
    return set(all_cpus()[1:]) or one_cpu()


MODES = {"one CPU": one_cpu, "free": lambda: None}


class Case:
    """`divisor` takes that share of the calls only."""

    name = ""

    def __init__(self, tools, root, divisor):
        self.tools = tools
        self.root = root
        self.divisor = divisor

    def calls(self, count):
        return max(50, count // self.divisor)

    def has(self, tool):
        return tool in self.tools

    def echo_server(self, shell, cpus):
        return Server([self.tools["bench-echo-server"], shell], self.root, cpus)

    def go_server(self, cpus):
        return Server([self.tools["gopeer"], "server"], self.root, cpus)

    def measure(self):
        raise NotImplementedError

    def table(self):
        raise NotImplementedError


class Latency(Case):
    """One small call at a time on an open connection."""

    name = "latency"
    CALLS = 20000
    BYTES = 16
    SERVICES = 20

    def rows(self):
        """{label: function(calls, cpus) -> nanoseconds}; the first is the floor."""
        found = {
            "floor: bytes through a socketpair": self.floor,
            "C client, C server (crpc listener)": lambda n, cpus: self.ours("listener", n, cpus),
            "C client, C server (flocksd's transport)": lambda n, cpus: self.ours("flocksd", n, cpus),
        }
        if self.has("gopeer"):
            found["Go client, C server (crpc listener)"] = self.go_to_ours
            found["C client, Go server"] = self.ours_to_go
            found["Go client, Go server"] = self.go_to_go
        if self.has("bench-echo-sdbus"):
            found["sd-bus, peer to peer"] = self.sdbus
        found[f"C client, flocksd: GetStatus of {self.SERVICES} services"] = self.status
        return found

    def floor(self, calls, cpus):
        return numbers([self.tools["bench-echo-floor"], calls, self.BYTES], cpus)

    def sdbus(self, calls, cpus):
        return numbers([self.tools["bench-echo-sdbus"], calls, self.BYTES], cpus)

    def _c_client(self, server, calls, cpus):
        return numbers([self.tools["bench-echo-client"], server.path, calls, self.BYTES], cpus)

    def _go_client(self, server, calls, cpus):
        return numbers([self.tools["gopeer"], "client", server.path, calls, self.BYTES], cpus)

    def ours(self, shell, calls, cpus):
        with self.echo_server(shell, cpus) as server:
            return self._c_client(server, calls, cpus)

    def ours_to_go(self, calls, cpus):
        with self.go_server(cpus) as server:
            return self._c_client(server, calls, cpus)

    def go_to_ours(self, calls, cpus):
        with self.echo_server("listener", cpus) as server:
            return self._go_client(server, calls, cpus)

    def go_to_go(self, calls, cpus):
        with self.go_server(cpus) as server:
            return self._go_client(server, calls, cpus)

    def status(self, calls, cpus):
        command = [self.tools["bench-status-client"], self.flocks.socket(), calls]
        return numbers(command, cpus)

    def measure(self):
        self.results = {}
        for mode, cpus in MODES.items():
            found = self.results[mode] = {}
            with self.flocks_on(cpus()):
                for _ in range(ROUNDS):
                    for label, measured in self.rows().items():
                        times = measured(self.calls(self.CALLS // ROUNDS), cpus())
                        found.setdefault(label, []).extend(times)
        return {mode: {label: summary(times) for label, times in found.items()}
                for mode, found in self.results.items()}

    @contextlib.contextmanager
    def flocks_on(self, cpus):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus or before)
        self.flocks = systems.Flocks(self.tools, self.root / "flocks", self.SERVICES)
        try:
            with self.flocks:
                os.sched_setaffinity(0, before)
                yield
        finally:
            os.sched_setaffinity(0, before)

    def table(self):
        header = ["unary call, 16 bytes each way"]
        for mode in MODES:
            header += [f"{mode}: p50 / p99 us", "ratio"]
        rows = []
        for label in self.rows():
            row = [label]
            for found in self.results.values():
                floor = next(iter(found.values()))
                row += [report.pair(found[label], US, 1), report.ratio(found[label], floor)]
            rows.append(row)
        return report.table("One call at a time, open connection", header, rows)


def summary(times):
    """What --json keeps of many nanoseconds."""
    return {"n": len(times), "p50": percentile(times, 0.5), "p99": percentile(times, 0.99),
            "min": min(times)}


class Rate(Case):
    """Many calls in flight, the server alone on one processor."""

    name = "rate"
    IN_FLIGHT = (32, 64, 512)
    CONNECTIONS = 4
    CALLS = 200000
    SLOW_CALLS = 30000
    BYTES = 16

    def rows(self):
        """{label: (server, function(server, in_flight) -> (calls, ns))}"""
        found = {
            "C server (crpc listener), one connection": (
                lambda: self.echo_server("listener", one_cpu()), self.load_one),
            "C server (crpc listener), 4 connections": (
                lambda: self.echo_server("listener", one_cpu()), self.load_many),
            "C server (flocksd's transport), one connection": (
                lambda: self.echo_server("flocksd", one_cpu()), self.load_one),
            "C server (flocksd's transport), 4 connections": (
                lambda: self.echo_server("flocksd", one_cpu()), self.load_many),
        }  # fmt: skip
        if self.has("gopeer"):
            found["Go server, one connection"] = (lambda: self.go_server(one_cpu()), self.load_slowly)
            found["Go client, Go server"] = (lambda: self.go_server(one_cpu()), self.go_load)
            found["Go client, C server (crpc listener)"] = (
                lambda: self.echo_server("listener", one_cpu()), self.go_load)
        return found

    def _load(self, server, calls, in_flight, connections):
        command = [self.tools["bench-echo-load"], server.path, calls, self.BYTES, in_flight, connections]
        return self._measured(server, command)

    @staticmethod
    def _measured(server, command):
        before = server.cpu_ns()
        done, took = (int(word) for word in run(command, other_cpus()).split())
        return {"calls": done, "ns": took, "server_ns": server.cpu_ns() - before}

    def load_one(self, server, in_flight):
        return self._load(server, self.calls(self.CALLS), in_flight, 1)

    def load_many(self, server, in_flight):
        return self._load(server, self.calls(self.CALLS), in_flight // self.CONNECTIONS, self.CONNECTIONS)

    def load_slowly(self, server, in_flight):
        return self._load(server, self.calls(self.SLOW_CALLS), in_flight, 1)

    def go_load(self, server, in_flight):
        command = [self.tools["gopeer"], "load", server.path, self.calls(self.SLOW_CALLS), self.BYTES,
                   in_flight]
        return self._measured(server, command)

    def measure(self):
        self.results = {}
        for _ in range(ROUNDS):
            for label, (make_server, load) in self.rows().items():
                with make_server() as server:
                    for in_flight in self.IN_FLIGHT:
                        found = load(server, in_flight)
                        self.results.setdefault(label, {}).setdefault(in_flight, []).append(found)
        memory = [self.tools["bench-echo-memory"], self.calls(2000000), self.BYTES, 32]
        runs = [run(memory, one_cpu()).split() for _ in range(ROUNDS)]
        self.alone = max(int(calls) / int(took) * 1e9 for calls, took in runs)
        return {"in memory": self.alone, **self.results}

    @staticmethod
    def rates(found):
        """Medians of calls a second, by the clock and by the server's processor time."""
        by_clock = [one["calls"] / one["ns"] * 1e9 for one in found]
        by_server = [one["calls"] / one["server_ns"] * 1e9 for one in found]
        return f"{percentile(by_clock, 0.5) / 1000:.0f} / {percentile(by_server, 0.5) / 1000:.0f}"

    def table(self):
        header = ["thousand calls a second: by the clock / of server processor time"]
        header += [f"{n} in flight" for n in self.IN_FLIGHT]
        rows = [[label, *(self.rates(found[n]) for n in self.IN_FLIGHT)]
                for label, found in self.results.items()]
        text = report.table("Many calls in flight, the server on one processor, 16 bytes each way",
                            header, rows)
        return text + f"\nThe engine alone, without a socket: {self.alone / 1000:.0f} thousand calls a second.\n"


class Sizes(Latency):
    """From 16 bytes to nearly 4 MiB each way."""

    name = "sizes"
    # Bytes of the payload, calls: the frame of 4 MiB holds the envelope, too.
    SIZES = ((16, 10000), (256, 10000), (4096, 10000), (65536, 2000), (1 << 20, 300),
             ((4 << 20) - 256, 100))

    def rows(self):
        found = {
            "floor: bytes through a socketpair": self.floor,
            "C client, C server (crpc listener)": lambda n, cpus: self.ours("listener", n, cpus),
        }
        if self.has("gopeer"):
            found["Go client, Go server"] = self.go_to_go
        if self.has("bench-echo-sdbus"):
            found["sd-bus, peer to peer"] = self.sdbus
        return found

    def measure(self):
        self.results = {}
        for size, calls in self.SIZES:
            self.BYTES = size
            for _ in range(ROUNDS):
                for label, measured in self.rows().items():
                    times = measured(self.calls(calls // ROUNDS), one_cpu())
                    self.results.setdefault(label, {}).setdefault(size, []).extend(times)
        return {label: {size: summary(times) for size, times in found.items()}
                for label, found in self.results.items()}

    @staticmethod
    def _name(size):
        if size >= 1 << 20:
            return f"{round(size / (1 << 20))} MiB"
        return f"{size >> 10} KiB" if size >= 1024 else f"{size} B"

    def table(self):
        header = ["one CPU: p50 us (ratio)"] + [self._name(size) for size, _ in self.SIZES]
        floor = self.results[next(iter(self.results))]
        rows = []
        for label, found in self.results.items():
            row = [label]
            for size, _ in self.SIZES:
                middle = percentile(found[size], 0.5) / US
                row.append(f"{middle:.1f} ({report.ratio(found[size], floor[size])})")
            rows.append(row)
        return report.table("Payloads of the same size both ways", header, rows)


class Connections(Case):
    """The same call in turn on many open connections."""

    name = "connections"
    COUNTS = (1, 10, 100, 1000, 5000)
    CALLS = 10000
    BYTES = 16

    def servers(self):
        found = {"C server (crpc listener)": lambda: self.echo_server("listener", one_cpu())}
        if self.has("gopeer"):
            found["Go server"] = lambda: self.go_server(one_cpu())
        return found

    def measure(self):
        self.results = {label: {} for label in self.servers()}
        self.memory = {label: {} for label in self.servers()}
        for count in self.COUNTS:
            for label, make_server in self.servers().items():
                with make_server() as server:
                    before = server.pss_kib()
                    command = [self.tools["bench-echo-client"], server.path,
                               max(count, self.calls(self.CALLS)), self.BYTES, count]
                    self.results[label][count] = numbers(command, one_cpu())
                    time.sleep(SETTLE_S)
                    self.memory[label][count] = server.pss_kib() - before
        return {label: {count: summary(times) for count, times in found.items()}
                for label, found in self.results.items()}

    def table(self):
        header = ["one CPU: p50 / p99 us"] + [f"{count:,} open" for count in self.COUNTS]
        rows = [[label, *(report.pair(found[count], US, 1) for count in self.COUNTS)]
                for label, found in self.results.items()]
        text = report.table("Open connections, called in turn by the C client", header, rows)
        most = self.COUNTS[-1]
        kept = ", ".join(f"{label} {kib[most] / most:.1f} KiB" for label, kib in self.memory.items())
        return text + f"\nMost memory a connection at {most:,} (PSS, after they were closed): {kept}.\n"


class Streams(Latency):
    """Messages of streams; a floor that writes as many bytes as a message has payload."""

    name = "streams"
    MESSAGES = 200000
    PAYLOADS = (16, 1024)

    def rows(self):
        return {
            "floor: bytes through a socketpair": self.floor,
            "unary call": lambda n, cpus: self.ours("listener", n, cpus),
            "message of an open stream": self.bounce,
        }

    def _stream_client(self, server, what, number, size, cpus):
        command = [self.tools["bench-stream-client"], what, server.path, number, size]
        return run(command, cpus)

    def bounce(self, calls, cpus):
        with self.echo_server("listener", cpus) as server:
            return [int(line) for line in
                    self._stream_client(server, "bounce", calls, self.BYTES, cpus).split()]

    def count(self, shell, size):
        with self.echo_server(shell, one_cpu()) as server:
            words = self._stream_client(server, "count", self.calls(self.MESSAGES), size, other_cpus())
            done, took = (int(word) for word in words.split())
            return {"calls": done, "ns": took, "server_ns": server.cpu_ns()}

    def measure(self):
        self.results = {}
        self.rates = {}
        for _ in range(ROUNDS):
            for mode, cpus in MODES.items():
                for label, measured in self.rows().items():
                    times = measured(self.calls(self.CALLS // ROUNDS), cpus())
                    self.results.setdefault(mode, {}).setdefault(label, []).extend(times)
            for shell in ("listener", "flocksd"):
                for size in self.PAYLOADS:
                    self.rates.setdefault(shell, {}).setdefault(size, []).append(self.count(shell, size))
        return {"rates": self.rates, **{
            mode: {label: summary(times) for label, times in found.items()}
            for mode, found in self.results.items()}}

    def table(self):
        header = ["16 bytes there and back"]
        for mode in MODES:
            header += [f"{mode}: p50 / p99 us", "ratio"]
        rows = []
        for label in self.rows():
            row = [label]
            for found in self.results.values():
                floor = next(iter(found.values()))
                row += [report.pair(found[label], US, 1), report.ratio(found[label], floor)]
            rows.append(row)
        text = report.table("One message at a time", header, rows)
        labels = {"listener": "crpc listener", "flocksd": "flocksd's transport"}
        header = ["thousand messages a second: by the clock / of server processor time"]
        header += [f"{size} bytes each" for size in self.PAYLOADS]
        rows = [[f"one stream, C server ({labels[shell]}), blocking C client",
                 *(Rate.rates(found[size]) for size in self.PAYLOADS)]
                for shell, found in self.rates.items()]
        return text + "\n" + report.table("A server stream as fast as it is taken, typed at both ends, "
                                          "the server on one processor", header, rows)


ALL = (Latency, Rate, Sizes, Connections, Streams)
