"""Where the measured programs are, built if they are missing."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def find_tools(build, helpers, programs):
    """(build directory, {name: path}) of our programs and helpers; `build` None: build/release."""
    build = (build or REPOSITORY / "build" / "release").resolve()
    tools = {name: build / "bench" / name for name in helpers}
    tools.update({name: build / "bin" / name for name in programs})
    if not all(path.exists() for path in tools.values()):
        note(f"building {build}")
        configure = ["cmake", "--preset", "release", "-B", str(build), "-DFLOCKS_BUILD_TESTS=OFF"]
        targets = ["--target", *helpers, *programs]
        for command in (configure, ["cmake", "--build", str(build), "-j2", *targets]):
            subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return build, tools
