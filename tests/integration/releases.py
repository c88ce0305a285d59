"""A maker of releases: small real services that tell their version, archives of every kind, an index, minisign's
signatures, and the server that has them."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import lzma
import shutil
import ssl
import subprocess
import tarfile
import threading
import time
import zipfile
from pathlib import Path

from instance import PYTHON, SERVICES

NAME = "product"
KINDS = ("tar", "tar.gz", "tar.xz", "tar.zst", "zip")


def tree(version, behaviour=None, release=None, files=None):
    """Files of one release by path: two services, `backend` and `webui`. `behaviour`: what product.py says, by
    service; `release`: flocks-release.yaml, as JSON (which YAML reads); `files`: more of them, text or bytes, or with
    None one that is left out. A path that ends in .sh can be executed."""
    program = (SERVICES / "product.py").read_bytes()
    found = {"version": version + "\n", "backend/service.py": program, "webui/service.py": program}
    if behaviour:
        found["behaviour.json"] = json.dumps(behaviour)
    if release is not None:
        found["flocks-release.yaml"] = json.dumps({"version": version, **release})
    found.update(files or {})
    return {
        path: content.encode() if isinstance(content, str) else content
        for path, content in found.items()
        if content is not None
    }


def mode_of(path):
    return 0o755 if path.endswith(".sh") else 0o644


def write_directory(directory, files):
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode_of(path))


def compress_zstd(data):
    return subprocess.run(["zstd", "-q"], input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def write_archive(path, files, top):
    """`path`'s ending says the kind. `top`: the one directory in which everything lies; "": none."""
    names = {f"{top}/{name}" if top else name: content for name, content in files.items()}
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in names.items():
                info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                info.external_attr = (0o100000 | mode_of(name)) << 16
                archive.writestr(info, content)
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode_of(name)
            archive.addfile(info, io.BytesIO(content))
    packers = {"tar": bytes, "gz": gzip.compress, "xz": lzma.compress, "zst": compress_zstd}
    path.write_bytes(packers[path.name.rpartition(".")[2]](packed.getvalue()))


class Key:
    """A pair of minisign's keys, without a password, in `directory`."""

    def __init__(self, directory, name="release"):
        directory.mkdir(parents=True, exist_ok=True)
        self.secret, public = directory / f"{name}.key", directory / f"{name}.pub"
        subprocess.run(
            ["minisign", "-G", "-W", "-f", "-p", str(public), "-s", str(self.secret)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        # The line that configurations have.
        self.public = public.read_text().splitlines()[1]

    def sign(self, path, told_name=None, legacy=False):
        """Writes PATH.minisig; `told_name`: the name in the trusted comment, the file's own otherwise."""
        comment = f"timestamp:1790000000\tfile:{told_name or path.name}"
        command = ["minisign", "-S", "-s", str(self.secret), "-m", str(path), "-t", comment]
        subprocess.run(
            command + (["-l"] if legacy else []), check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
        )


class Publisher:
    """Releases in `directory/site`, as a publisher has them: archives, signatures, index.json. Nothing is served
    before serve()."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.site = self.directory / "site"
        self.site.mkdir(parents=True)
        self.key = Key(self.directory / "keys")
        self.entries = {}
        self.write_index()

    def publish(self, version, kind="tar.gz", sign=True, key=None, digest=True, top=None, entry=None, **files):
        """The archive of tree(version, **files), in the index. `key`: another one than the publisher's. `digest`:
        the index tells SHA-256 and size. `entry`: more members of the release's entry."""
        path = self.site / f"{NAME}-{version}.{kind}"
        write_archive(path, tree(version, **files), f"{NAME}-{version}" if top is None else top)
        return self.publish_file(path, version, sign=sign, key=key, digest=digest, entry=entry)

    def publish_file(self, path, version, sign=True, key=None, digest=True, entry=None):
        """A file that lies in the site already."""
        if sign:
            (key or self.key).sign(path)
        asset = {"name": path.name, "url": path.name}
        if sign:
            asset["signature"] = path.name + ".minisig"
        if digest:
            asset["size"] = path.stat().st_size
            asset["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        self.entries[version] = {"version": version, "notes": f"What is new in {version}.", "assets": [asset], **(entry or {})}
        self.write_index()
        return path

    def withdraw(self, version):
        """As if it had never been published."""
        for asset in self.entries.pop(version)["assets"]:
            for name in (asset["name"], asset["name"] + ".minisig"):
                (self.site / name).unlink(missing_ok=True)
        self.write_index()

    def write_index(self):
        text = json.dumps({"format": 1, "releases": list(self.entries.values())}, indent=1)
        (self.site / "index.json").write_text(text)

    def serve(self, **options):
        return Server(self.site, **options)


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        gate = server.gates.get(self.path.rpartition("/")[2])
        if gate is not None:
            gate.wait(server.patience)
        super().do_GET()

    def copyfile(self, source, outputfile):
        pace = self.server.bytes_per_second
        if not pace:
            super().copyfile(source, outputfile)
            return
        piece = max(pace // 50, 1)
        while data := source.read(piece):
            outputfile.write(data)
            time.sleep(len(data) / pace)

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves a directory on loopback, from a thread; a context manager. `certificate`: (certificate, key) for https.
    What asks is remembered in `asked`; a file in `gates` is answered when its event is set."""

    daemon_threads = True

    def __init__(self, site, certificate=None, bytes_per_second=0, patience=60):
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
        self.asked, self.gates = [], {}
        self.bytes_per_second, self.patience = bytes_per_second, patience
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}/"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def handle_error(self, request, client_address):
        pass

    def hold(self, name):
        """Whoever asks for this file waits until the event that this answers is set."""
        self.gates[name] = threading.Event()
        return self.gates[name]

    def __exit__(self, *_):
        for gate in self.gates.values():
            gate.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def certificate(directory):
    """(certificate, key) for 127.0.0.1, signed by itself: tell it with SSL_CERT_FILE."""
    paths = directory / "server.crt", directory / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-out", str(paths[0]), "-keyout", str(paths[1])],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return paths


def configuration(ports, sources=(), keys=(), start_timeout="60s", observe="300ms", update="", extra="", options=""):
    """flocks.yaml for what tree() has: backend on the first port, webui after it on the second, and `other`, which
    is of no release. `update`: more lines of that section; `options`: more members of both services."""
    services = "\n".join(
        f"""  {name}:
    command: [{PYTHON}, -I, -S, service.py, "${{port}}"]
    directory: current/{name}
    port: {port}
    probes: {{ready: {{http: {{path: {path}}}, period: 50ms, timeout: 5s, failure_threshold: 3}}}}
    version: {{http: {{path: /api/version}}, member: version}}
    stop: {{grace: 2s}}{after}{options}"""
        for name, port, path, after in (
            ("backend", ports[0], "/api/health", ""),
            ("webui", ports[1], "/", "\n    after: [backend]"),
        )
    )
    return f"""services:
{services}
  other: {{command: [/bin/sleep, "100000"], stop: {{grace: 2s}}}}
{extra}update:
  sources: {json.dumps(list(sources))}
  keys: {json.dumps(list(keys))}
  start_timeout: {start_timeout}
  observe: {observe}
{update}"""


def install(root, version, **files):
    """Release `version` as the current one, as if an upgrade had brought it."""
    directory = root / "releases" / version
    write_directory(directory, tree(version, **files))
    (root / "releases").chmod(0o700)
    link = root / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(f"releases/{version}")
    return directory


def remove(root, version):
    shutil.rmtree(root / "releases" / version)
