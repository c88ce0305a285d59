#!/usr/bin/python3
"""What an install tree shows to others: check_install.py PREFIX BUILD_DIR SOURCE_DIR LIBRARY NODE MAP PREFIXES HEADER...

- the shared library exports exactly what its version script names, under that version, and needs no library but
  protobuf-c, nghttp2, another of ours and libc;
- the version script names exactly the functions that the headers declare (wildcards aside);
- the archive, one object, has no other global symbol;
- no file names the build or the source directory (binaries: only without sanitizers, which keep names of files).
"""
import fnmatch
import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def named_by(map_file):
    """The patterns of the map's global part."""
    return [line.strip()[:-1] for line in map_file.read_text().splitlines() if re.fullmatch(r"    [a-z_*0-9]+;", line)
            and line.strip() != "*;"]


def declared_by(headers, include_dirs, prefixes):
    """Functions of the prefixes that the headers declare: a name before a parenthesis that opens no pointer."""
    text = "".join(f'#include "{header}"\n' for header in headers)
    flags = [f"-I{directory}" for directory in include_dirs] + run("pkg-config", "--cflags", "libprotobuf-c").split()
    source = subprocess.run(["cc", "-E", "-P", *flags, "-x", "c", "-"], input=text, check=True, capture_output=True,
                            text=True).stdout
    return set(re.findall(rf"\b((?:{'|'.join(prefixes)})\w+)\s*\((?!\*)", source))


def exported_by(library):
    """Name -> version of every defined dynamic symbol."""
    symbols = {}
    for line in run("nm", "-D", "--defined-only", str(library)).splitlines():
        _, kind, name = line.split()
        if kind != "A":
            name, _, version = name.partition("@@")
            symbols[name] = version
    return symbols


def globals_of(archive):
    lines = run("nm", "-g", "--defined-only", str(archive)).splitlines()
    return {line.split()[2] for line in lines if len(line.split()) == 3}


def needed_by(library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", str(library)))


def is_sanitized(library):
    return "__asan_init" in run("nm", "-D", str(library))


def unmatched(names, patterns):
    return sorted(name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))


def files_naming(prefix, directories, with_binaries):
    for path in sorted(prefix.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content and not with_binaries:
            continue
        for directory in directories:
            if directory.encode() in content:
                yield f"{path.relative_to(prefix)} names {directory}"


def complaints(prefix, directories, name, node, map_file, headers, prefixes):
    library = (prefix / f"lib/lib{name}.so").resolve()
    patterns = named_by(map_file)
    exact = {pattern for pattern in patterns if "*" not in pattern}
    declared = declared_by(headers, [prefix / "include", prefix / "include/crpc/well-known"], prefixes)
    yield from (f"{map_file.name} names {one}, which no header declares" for one in sorted(exact - declared))
    yield from (f"{map_file.name} lacks {one}, which a header declares" for one in sorted(declared - exact))
    exported = exported_by(library)
    yield from (f"{library.name} lacks {one}" for one in sorted(exact - set(exported)))
    yield from (f"{library.name} exports {one}" for one in unmatched(exported, patterns))
    yield from (f"{library.name}: {one} has version '{version}'" for one, version in exported.items() if version != node)
    yield from (f"{library.name} needs {one}" for one in needed_by(library)
                if not re.match(r"lib(c|crpc|nghttp2|protobuf-c|asan|ubsan)\.so", one))
    archived = globals_of(prefix / f"lib/lib{name}.a")
    yield from (f"lib{name}.a lacks {one}" for one in sorted(exact - archived))
    yield from (f"lib{name}.a has the global name {one}" for one in unmatched(archived, patterns))
    yield from files_naming(prefix, directories, not is_sanitized(library))


def main():
    prefix, build, source, name, node, map_file, prefixes, *headers = sys.argv[1:]
    found = list(complaints(pathlib.Path(prefix), [build, source], name, node, pathlib.Path(map_file), headers,
                            prefixes.split(",")))
    for one in found:
        print(one, file=sys.stderr)
    if not found:
        print(f"lib{name}: exports what its headers declare, and nothing else")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
