"""golang/protobuf 1.3 for programs on ttrpc 1.1.1, which reads failures with it: of 1.5 gogo cannot read Any. Debian has
both, and installs one: the one that grpc-go's generator needs."""

import os
import subprocess
import tempfile
from pathlib import Path


def old_go_protobuf(kept):
    """An entry of GOPATH, in the directory `kept`; fetched once."""
    directory = Path(kept) / "go-protobuf-1.3"
    entry = directory / "usr" / "share" / "gocode"
    if not entry.exists():
        with tempfile.TemporaryDirectory(prefix="flocks-go-") as download:
            # apt's own user writes there.
            os.chmod(download, 0o755)
            package = "golang-github-golang-protobuf-1-3-dev"
            subprocess.run(["apt-get", "download", "-qq", package], check=True, cwd=download, timeout=120)
            archive = next(Path(download).glob("*.deb"))
            directory.parent.mkdir(parents=True, exist_ok=True)
            new = f"{directory}.new"
            subprocess.run(["dpkg-deb", "-x", archive, new], check=True, timeout=120)
        os.replace(new, directory)
    return entry
