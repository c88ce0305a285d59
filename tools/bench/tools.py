"""Where the measured programs are, built if they are missing."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _paths(build, helpers, programs):
    tools = {name: build / "bench" / name for name in helpers}
    tools.update({name: build / "bin" / name for name in programs})
    return tools


def build_tools(build, helpers, programs):
    """{name: path} after a release build of these, and of nothing else, that is up to date."""
    configure = ["cmake", "--preset", "release", "-B", str(build), "-DFLOCKS_BUILD_TESTS=OFF"]
    targets = ["--target", *helpers, *programs]
    for command in (configure, ["cmake", "--build", str(build), "-j2", *targets]):
        result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return _paths(build, helpers, programs)


def find_tools(build, helpers, programs):
    """(build directory, {name: path}) of our programs and helpers; `build` None: build/release."""
    build = (build or REPOSITORY / "build" / "release").resolve()
    tools = _paths(build, helpers, programs)
    if not all(path.exists() for path in tools.values()):
        note(f"building {build}")
        build_tools(build, helpers, programs)
    return build, tools
