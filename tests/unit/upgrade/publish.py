#!/usr/bin/python3
"""Releases of a product, into the working directory: good ones, and every bad one that a publisher, or somebody between
him and us, can make. archives.py has been there before. Prints the two public keys: the good one, another."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

HOSTILE = ("absolute", "parent", "inner-parent", "newline", "escape", "deep", "long", "long-name", "latin1", "fifo",
           "character", "block", "link-absolute", "link-parent", "link-deep-parent", "link-zigzag", "link-chain",
           "link-empty", "link-unwrapped", "through-link", "link-then-file", "file-then-below", "top-is-link",
           "hard-outside", "hard-absolute", "hard-missing", "hard-to-link", "hard-to-directory", "twice", "empty")


def archive(version, release=None, name=None, top="product", files=None):
    """NAME-VERSION.tar.gz with a service's directory, and `release` as flocks-release.yaml."""
    path = (name or f"product-{version}") + ".tar.gz"
    content = {"backend/run.sh": b"#!/bin/sh\n", "version": version.encode(), **(files or {})}
    if release is not None:
        content["flocks-release.yaml"] = release.encode()
    with tarfile.open(path, "w:gz") as made:
        for inner, data in content.items():
            info = tarfile.TarInfo(f"{top}/{inner}")
            info.size, info.mode = len(data), 0o755 if inner.endswith(".sh") else 0o644
            made.addfile(info, io.BytesIO(data))
    return path


def key(name):
    subprocess.run(["minisign", "-G", "-W", "-f", "-p", f"{name}.pub", "-s", f"{name}.key"], check=True,
                   stdout=subprocess.DEVNULL)
    print(open(f"{name}.pub").read().splitlines()[1])


def sign(path, key="good", comment=None):
    """`comment`: the trusted one, in place of what minisign writes."""
    subprocess.run(["minisign", "-S", "-s", f"{key}.key", "-m", path] + (["-t", comment] if comment else []), check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def alter(path, how):
    data = bytearray(open(path, "rb").read())
    if how == "cut":
        del data[len(data) // 2:]
    else:
        data[len(data) // 2] ^= 1
    open(path, "wb").write(data)


def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def index(name, entries):
    releases = [{"version": version, **more, "assets": assets} for version, assets, more in entries]
    json.dump({"format": 1, "releases": releases}, open(name, "w"))


def told(path, **more):
    """An index's asset with everything that can be told of it."""
    return {"name": path, "size": os.path.getsize(path), "sha256": digest(path), "signature": path + ".minisig", **more}


def million(path):
    """1,000,000 files, in a small archive: they are counted before their names matter."""
    part = gzip.compress(tarfile.TarInfo("product/file").tobuf() * 1000)
    with open(path, "wb") as packed:
        packed.write(part * 1000 + gzip.compress(bytes(1024)))


def main():
    key("good")
    key("other")
    good = [archive(version) for version in ("1.0.0", "1.1.0", "1.2.0-rc.1", "1.3.0")]
    for path in good:
        sign(path)
    index("index.json", [("1.0.0", [told(good[0])], {}), ("1.1.0", [told(good[1])], {"notes": "faster"}),
                         ("1.2.0-rc.1", [told(good[2])], {}), ("1.3.0", [told(good[3])], {"withdrawn": True})])
    # Bad in what is signed.
    sign(archive("2.0.0"), "other")
    archive("2.1.0")
    sign(archive("2.2.0"))
    alter("product-2.2.0.tar.gz", "flip")
    sign(archive("2.3.0"))
    alter("product-2.3.0.tar.gz", "cut")
    alter(archive("2.4.0", files={"noise": os.urandom(200000)}), "cut")
    sign("product-2.4.0.tar.gz")
    sign(archive("2.5.0"), comment="timestamp:1\tfile:product-1.0.0.tar.gz")
    sign(archive("2.6.0"), comment="by hand")
    open("product-2.7.0.tar.gz.minisig", "w").write("<html>Sign in</html>")
    archive("2.7.0")
    # An old archive in place of the new one, in an index that says nothing of it; and one whose name tells nothing.
    sign(archive("2.8.0", name="product"))
    os.rename("product.tar.gz", "nameless.tar.gz")
    os.rename("product.tar.gz.minisig", "nameless.tar.gz.minisig")
    sign("nameless.tar.gz")
    index("old.json", [("9.0.0", [{"name": good[0], "signature": good[0] + ".minisig"}], {})])
    index("nameless.json", [("9.0.0", [{"name": "nameless.tar.gz", "signature": "nameless.tar.gz.minisig"}], {})])
    # Checksums.
    archive("2.9.0")
    open("SHA256SUMS", "w").write(f"{digest('product-2.9.0.tar.gz')}  product-2.9.0.tar.gz\n")
    sign("SHA256SUMS")
    sums = {"name": "SHA256SUMS", "signature": "SHA256SUMS.minisig"}
    index("sums.json", [("2.9.0", [{"name": "product-2.9.0.tar.gz"}, sums], {}),
                        ("2.8.1", [{"name": "product-2.8.1.tar.gz"}, sums], {})])
    archive("2.8.1")
    wrong = told(good[1])
    wrong["sha256"] = "0" * 64
    index("digest.json", [("1.1.0", [wrong], {})])
    index("size.json", [("1.1.0", [told(good[1], size=5)], {})])
    large = told(good[1], size=1 << 45)
    index("large.json", [("1.1.0", [large], {})])
    # Mirrors: the first is another file, the second is not there.
    index("mirrors.json", [("1.1.0", [told(good[1], url="product-1.0.0.tar.gz", mirrors=[
        {"region": "cn", "url": "missing.tar.gz"}, {"region": "eu", "url": "product-1.1.0.tar.gz"}])], {})])
    # What is inside.
    for version, text in (("3.0.0", "format: 2\nmore: x\n"), ("3.1.0", "install:\n- comand: [x]\n"),
                          ("3.2.0", "version: 1.0.0\n"), ("3.3.0", "install_size: 100TiB\n"),
                          ("3.4.0", "install: [{command: [./no-such-program]}]\n"),
                          ("3.5.0", "install: [{directory: ../.., command: [sh]}]\n")):
        archive(version, text)
    archive("3.6.0", "", files={"other": b""})
    with tarfile.open("product-3.7.0.tar.gz", "w:gz") as made:
        made.addfile(tarfile.TarInfo("product/x"), io.BytesIO())
    archive("4.0.0", 'install:\n- {name: make it, command: [sh, -c, \'echo "$FLOCKS_VERSION from $FLOCKS_FROM_VERSION at '
                     '$FLOCKS_RELEASE in $PWD" > made; echo it is made\']}\n')
    for number, name in enumerate(HOSTILE):
        with open(f"{name}.tar", "rb") as hostile, gzip.open(f"hostile-9.0.{number}.tar.gz", "wb") as packed:
            packed.write(hostile.read())
    archive("5.0.0", files={"zeros": bytes(3 << 20)})
    million("hostile-9.2.0.tar.gz")
    os.link("bomb.tar.gz", "hostile-9.1.0.tar.gz")
    os.link("bomb.zip", "hostile-9.1.1.zip")
    os.link("cut.tar.xz", "hostile-9.1.2.tar.xz")
    os.link("page.html", "hostile-9.1.3.tar.gz")
    os.link("nothing", "hostile-9.1.4.tar.gz")


main()
