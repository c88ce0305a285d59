#!/usr/bin/python3
"""Does what a document says: tutorial.py DOCUMENT PREFIX WORK_DIR

Comments before its code blocks say what each is for, unseen by readers:

    <!-- file: PATH -->         a file, or its next piece
    <!-- run -->                commands for a shell, which must succeed
    <!-- background: TEXT -->   a program; goes on when it has printed TEXT, ends with SIGTERM, and must exit with 0
    <!-- output -->             what the last commands must have printed (": sorted": in any order of lines)

Runs in a directory of its own below WORK_DIR, against the crpc that is installed in PREFIX.
"""
import difflib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

from go_protobuf import old_go_protobuf  # noqa: E402

BLOCK = re.compile(r"^<!-- (file|run|background|output)(?:: (.*?))? -->\n```\w*\n(.*?)^```$", re.M | re.S)
PATIENCE_S = 240


class Failure(Exception):
    pass


class Tutorial:
    def __init__(self, directory, environment):
        self.directory = directory
        self.environment = environment
        self.files = set()
        self.printed = None
        self.programs = []

    def file(self, path, text):
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a" if path in self.files else "w") as file:
            file.write(text)
        self.files.add(path)

    def run(self, _, text):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=self.directory, env=self.environment,
                              stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            for log in self.directory.glob("*.log"):
                print(log.read_text(), file=sys.stderr)
            raise Failure(f"these commands failed ({done.returncode}):\n{text}{done.stdout}")
        self.printed = done.stdout

    def background(self, expected, text):
        program = subprocess.Popen(["bash", "-c", f"exec {text.strip()}"], cwd=self.directory, env=self.environment,
                                   stdout=subprocess.PIPE)
        self.programs.append((text.strip(), program))
        printed = b""
        give_up_at = time.monotonic() + PATIENCE_S
        while expected.encode() not in printed:
            ready, _, _ = select.select([program.stdout], [], [], max(0, give_up_at - time.monotonic()))
            piece = os.read(program.stdout.fileno(), 4096) if ready else b""
            if not piece:
                raise Failure(f"{text.strip()} did not print '{expected}', but {printed!r}")
            printed += piece

    def output(self, order, text):
        printed, expected = self.printed.splitlines(), text.splitlines()
        if order == "sorted":
            printed, expected = sorted(printed), sorted(expected)
        if printed != expected:
            raise Failure("\n".join(difflib.unified_diff(expected, printed, "in the document", "printed", lineterm="")))

    def end(self):
        for text, program in self.programs:
            program.send_signal(signal.SIGTERM)
            try:
                code = program.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
            if code != 0:
                raise Failure(f"{text} ended with {code}")


def main():
    document, prefix, work = map(pathlib.Path, sys.argv[1:])
    directory = work / "tutorial"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    environment = os.environ | {
        "CMAKE_PREFIX_PATH": str(prefix.resolve()),
        "PKG_CONFIG_PATH": str(prefix.resolve() / "lib/pkgconfig"),
        "GOCACHE": str(work.resolve() / "go-cache"),
        "GOFLAGS": "",
        # Debian's Python knows grpcio.
        "PATH": f"/usr/bin:/bin:{os.environ['PATH']}",
        "GOPATH": f"{old_go_protobuf(work.resolve())}:/usr/share/gocode",
    }
    blocks = BLOCK.findall(document.read_text())
    tutorial = Tutorial(directory, environment)
    failures = []
    try:
        for kind, argument, text in blocks:
            getattr(tutorial, kind)(argument, text)
    except (Failure, subprocess.TimeoutExpired) as failure:
        failures.append(str(failure))
    finally:
        try:
            tutorial.end()
        except (Failure, subprocess.TimeoutExpired) as failure:
            failures.append(str(failure))
    for failure in failures:
        print(failure, file=sys.stderr)
    if not failures:
        kinds = [kind for kind, _, _ in blocks]
        print(f"{document.name}: {kinds.count('run')} runs, {kinds.count('output')} outputs as the document says")
    return 1 if failures or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
