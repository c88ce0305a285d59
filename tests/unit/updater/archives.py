#!/usr/bin/python3
"""Archives for test_unpack.c, good and hostile, into the working directory."""
import io
import os
import stat
import subprocess
import tarfile
import zipfile

MIB = 1 << 20


def entry(name, kind=tarfile.REGTYPE, mode=0o644, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, target, size
    return info


def write_tar(path, entries, how="w", form=tarfile.PAX_FORMAT):
    """Entries are (TarInfo, content)."""
    with tarfile.open(path, how, format=form) as archive:
        for info, content in entries:
            if info.type == tarfile.REGTYPE:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def one(path, info, content=b"x"):
    """A harmless file, then what is hostile."""
    write_tar(path, [(entry("harmless"), b"fine"), (info, content)])


def release():
    """What a release looks like: one directory, programs, links, names in Chinese, a long path."""
    long = "flocks-1.2.0/" + "/".join(["node_modules", "a" * 60] * 3) + "/index.js"
    return [
        (entry("flocks-1.2.0/", tarfile.DIRTYPE, 0o755), b""),
        (entry("flocks-1.2.0/bin/flocks", mode=0o755), b"#!/bin/sh\necho 1.2.0\n"),
        (entry("flocks-1.2.0/README.md", mode=0o666), b"read me\n"),
        (entry("flocks-1.2.0/root-tool", mode=0o6755), b"tool"),
        (entry("flocks-1.2.0/secret", mode=0o400), b"secret"),
        (entry("flocks-1.2.0/closed/", tarfile.DIRTYPE, 0o000), b""),
        (entry("flocks-1.2.0/closed/inside"), b"inside"),
        (entry("flocks-1.2.0/文档/说明.txt"), "你好\n".encode()),
        (entry(long), b"deep"),
        (entry("flocks-1.2.0/current", tarfile.SYMTYPE, 0o777, "bin/flocks"), b""),
        (entry("flocks-1.2.0/文档/up", tarfile.SYMTYPE, 0o777, "../README.md"), b""),
        (entry("flocks-1.2.0/flocks-1.2.0"), b"same name as the top"),
        (entry("flocks-1.2.0/hard", tarfile.LNKTYPE, 0o755, "flocks-1.2.0/bin/flocks"), b""),
        (entry("flocks-1.2.0/empty"), b""),
    ]


def good():
    write_tar("release.tar", release())
    write_tar("release.tar.gz", release(), "w:gz")
    write_tar("release.tar.xz", release(), "w:xz")
    write_tar("gnu.tar", release(), form=tarfile.GNU_FORMAT)
    subprocess.run(["zstd", "-q", "-f", "release.tar", "-o", "release.tar.zst"], check=True)
    with zipfile.ZipFile("release.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in release():
            if info.type == tarfile.LNKTYPE:
                content = b"#!/bin/sh\necho 1.2.0\n"
            made = zipfile.ZipInfo(info.name)
            kind = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.DIRTYPE: stat.S_IFDIR}.get(info.type, stat.S_IFREG)
            made.external_attr = (kind | info.mode) << 16
            archive.writestr(made, info.linkname if info.type == tarfile.SYMTYPE else content)
    write_tar("two.tar", [(entry("a/x"), b"1"), (entry("b/x"), b"2")])
    write_tar("file.tar", [(entry("alone"), b"1")])
    write_tar("dot.tar", [(entry("./", tarfile.DIRTYPE, 0o755), b""), (entry("./top/x"), b"1"), (entry("top//y"), b"2")])
    write_tar("links.tar", [(entry("top/l", tarfile.SYMTYPE, target="nowhere"), b"")])
    write_tar("many.tar", [(entry(f"d{i}/f"), b"") for i in range(100)])
    sparse()


def sparse():
    """A file that is one hole."""
    with open("hole", "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["tar", "--sparse", "-cf", "sparse.tar", "hole"], check=True)
    os.unlink("hole")


def hostile():
    one("absolute.tar", entry("/tmp/flocks-escaped"))
    one("parent.tar", entry("../flocks-escaped"))
    one("inner-parent.tar", entry("a/../../flocks-escaped"))
    one("newline.tar", entry("a\nb"))
    one("escape.tar", entry("a\x1b[2Jb"))
    one("deep.tar", entry("/".join("d" * 65)))
    one("long.tar", entry("/".join(["n" * 200] * 6)))
    one("long-name.tar", entry("n" * 300))
    one("latin1.tar", entry("caf\udce9"))
    for name, kind in ("fifo", tarfile.FIFOTYPE), ("character", tarfile.CHRTYPE), ("block", tarfile.BLKTYPE):
        one(f"{name}.tar", entry("device", kind), b"")
    one("link-absolute.tar", entry("l", tarfile.SYMTYPE, target="/etc/passwd"), b"")
    one("link-parent.tar", entry("l", tarfile.SYMTYPE, target="../x"), b"")
    one("link-deep-parent.tar", entry("a/l", tarfile.SYMTYPE, target="../../x"), b"")
    one("link-zigzag.tar", entry("l", tarfile.SYMTYPE, target="a/../../x"), b"")
    one("link-empty.tar", entry("l", tarfile.SYMTYPE, target=""), b"")
    # Leads outside only once the top directory is left out.
    write_tar("link-unwrapped.tar", [(entry("top/x"), b""), (entry("top/l", tarfile.SYMTYPE, target="../x"), b"")])
    # Each harmless by its text; together "l2" would be the parent of the top.
    write_tar("link-chain.tar", [(entry("l1", tarfile.SYMTYPE, target="."), b""),
                                 (entry("l2", tarfile.SYMTYPE, target="l1/.."), b"")])
    # The classical one: a link, then a file through it.
    write_tar("through-link.tar", [(entry("d", tarfile.SYMTYPE, target="sub"), b""), (entry("d/x"), b"x")])
    write_tar("link-then-file.tar", [(entry("f", tarfile.SYMTYPE, target="other"), b""), (entry("f"), b"x")])
    write_tar("file-then-below.tar", [(entry("f"), b"x"), (entry("f/x"), b"x")])
    write_tar("top-is-link.tar", [(entry("top/x"), b"x"), (entry("top", tarfile.SYMTYPE, target="x"), b"")])
    one("hard-outside.tar", entry("h", tarfile.LNKTYPE, target="../../etc/passwd"), b"")
    one("hard-absolute.tar", entry("h", tarfile.LNKTYPE, target="/etc/passwd"), b"")
    one("hard-missing.tar", entry("h", tarfile.LNKTYPE, target="nothing"), b"")
    write_tar("hard-to-link.tar", [(entry("l", tarfile.SYMTYPE, target="x"), b""),
                                   (entry("h", tarfile.LNKTYPE, target="l"), b"")])
    write_tar("hard-to-directory.tar", [(entry("d/x"), b""), (entry("h", tarfile.LNKTYPE, target="d"), b"")])
    write_tar("twice.tar", [(entry("f"), b"1"), (entry("./f"), b"2")])
    write_tar("empty.tar", [])
    with zipfile.ZipFile("parent.zip", "w") as archive:
        archive.writestr("harmless", "fine")
        archive.writestr("../flocks-escaped", "x")
    with zipfile.ZipFile("link.zip", "w") as archive:
        made = zipfile.ZipInfo("l")
        made.create_system = 3
        made.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(made, "/etc/passwd")
    bombs()


def bombs():
    with tarfile.open("bomb.tar.gz", "w:gz") as archive:
        archive.addfile(entry("zeros", size=64 * MIB), io.BytesIO(bytes(64 * MIB)))
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(64):
            archive.writestr(f"zeros{i}", bytes(MIB))


def damaged():
    for how in "xz", "gz":
        write_tar("noise", [(entry(f"noise{i}"), os.urandom(200000)) for i in range(3)], f"w:{how}")
        whole = open("noise", "rb").read()
        open(f"cut.tar.{how}", "wb").write(whole[: len(whole) // 2])
    whole = bytearray(open("release.zip", "rb").read())
    at = whole.index(b"bin/flocks") + len("bin/flocks") + 4
    whole[at] ^= 0xFF
    open("flipped.zip", "wb").write(whole)
    open("page.html", "w").write("<!doctype html><html><body>Sign in</body></html>" * 20)
    open("nothing", "w").close()


good()
hostile()
damaged()
