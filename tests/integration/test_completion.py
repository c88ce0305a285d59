"""Completion of the command line in the real shells: bash and zsh at a prompt of their own, fish by its own command."""

import subprocess

import pytest

from instance import BUILD, REPOSITORY, wait_until
from terminal import Terminal

SERVICES = """
services:
  database: {command: [sleep, "1000"]}
  web: {command: [sleep, "1000"]}
"""

# What is written, and what stands there after TAB; {root} is a directory with the files below.
LINES = [
    ("flocks stat", "flocks status "),
    ("flocks sta", "flocks sta"),
    ("flocks --vers", "flocks --version "),
    ("flocks --no-c", "flocks --no-color "),
    ("flocks -q stat", "flocks -q status "),
    ("flocks logs --no-f", "flocks logs --no-follow "),
    ("flocks status we", "flocks status web "),
    ("flocks restart web d", "flocks restart web database "),
    ("flocks why web d", "flocks why web d"),
    ("flocks logs dae", "flocks logs daemon "),
    ("flocks call Expl", "flocks call ExplainService "),
    ("flocks call UpgradeService/GetU", "flocks call UpgradeService/GetUpgrade "),
    ("flocks call flocks.v1.UpgradeService/Rep", "flocks call flocks.v1.UpgradeService/Rep"),
    ("flocks call GetStatus @{root}/req", "flocks call GetStatus @{root}/request.json "),
    ("flocks call GetStatus @{root}/with", "flocks call GetStatus @{root}/with\\ blank.json "),
    ("flocks call GetStatus @{root}/direc", "flocks call GetStatus @{root}/directory/"),
    ("flocks describe ServiceStatus.sta", "flocks describe ServiceStatus.state "),
    ("flocks describe GetStatusReq", "flocks describe GetStatusRequest "),
    ("flocks config val", "flocks config validate "),
    ("flocks config validate {root}/flo", "flocks config validate {root}/flocks.yaml "),
    ("flocks config show {root}/flo", "flocks config show {root}/flo"),
    ("flocks --config {root}/flo", "flocks --config {root}/flocks.yaml "),
    ("flocks --config={root}/flo", "flocks --config={root}/flocks.yaml "),
    ("flocks --root {root}/direc", "flocks --root {root}/directory/"),
    ("flocks --root={root}/direc", "flocks --root={root}/directory/"),
    ("flocks start --log-level d", "flocks start --log-level debug "),
    ("flocks start --log-level=d", "flocks start --log-level=debug "),
    ("flocks update --rol", "flocks update --rollback "),
    ("flocks update --from {root}/direc", "flocks update --from {root}/directory/"),
    ("flocks update --to 1.", "flocks update --to 1.2.0 "),
    ("flocks completion f", "flocks completion fish "),
    ("flocks nothing x", "flocks nothing x"),
    ("flocks status 'we", None),
]

BASH = """
PS1='$ '
bind 'set bell-style none'
source <(flocks completion bash)
show() { printf '%s' "$READLINE_LINE" >"$SHOWN.new"; READLINE_LINE=; READLINE_POINT=0; mv "$SHOWN.new" "$SHOWN"; }
bind -x '"\\C-t": show'
"""

ZSH = """
PS1='$ '
unsetopt beep
{load}
show() {{ print -rn -- "$BUFFER" >"$SHOWN.new"; BUFFER=; mv "$SHOWN.new" "$SHOWN"; }}
zle -N show
bindkey '^T' show
"""
ZSH_FROM_PACKAGE = """
fpath=("$INSTALLED/share/zsh/vendor-completions" $fpath)
autoload -Uz compinit
compinit -u -d "$ZDOTDIR/dump"
"""
ZSH_FROM_PROFILE = """
autoload -Uz compinit
compinit -u -d "$ZDOTDIR/dump"
source <(flocks completion zsh)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A prefix with the package of the command line."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix, "--component", "flocks-tools"], check=True,
                   timeout=60, stdout=subprocess.DEVNULL)
    return prefix


@pytest.fixture
def place(make_instance):
    """An instance with files to be named, and `environment` in which a shell finds it."""
    instance = make_instance()
    instance.write(SERVICES)
    (instance.root / "directory").mkdir()
    (instance.root / "releases" / "1.2.0").mkdir(parents=True)
    (instance.root / "releases" / "1.3.0.partial").mkdir()
    (instance.root / "request.json").write_text('{"services": ["web"]}')
    (instance.root / "with blank.json").write_text("{}")
    instance.environment["PATH"] = f"{instance.bin}:{instance.environment['PATH']}"
    instance.environment["SHOWN"] = str(instance.root / "shown")
    return instance


class Prompt:
    """A shell that waits for a line."""

    def __init__(self, command, place):
        self.shown = place.root / "shown"
        self.terminal = Terminal(command, place.environment, columns=300)
        self.terminal.wait_for(b"$ ")

    def complete(self, line):
        """What stands on the line after TAB. The shell itself empties the line: while it shows it, a key may be the
        terminal's."""
        self.shown.unlink(missing_ok=True)
        self.terminal.type(line + "\t\x14")

        def is_shown():
            self.terminal.read(0)
            return self.shown.exists()

        wait_until(is_shown, what=f"{line!r} completed: {self.terminal.seen[-500:]!r}")
        return self.shown.read_text()


def check_lines(prompt, place):
    wrong = []
    for line, wanted in LINES:
        line = line.format(root=place.root)
        got = prompt.complete(line)
        if wanted is not None and got != wanted.format(root=place.root):
            wrong.append((line, got))
    prompt.terminal.close()
    assert not wrong


def test_bash_completes_at_its_prompt(place):
    profile = place.root / "bashrc"
    profile.write_text(BASH)
    check_lines(Prompt(["bash", "--noprofile", "--rcfile", str(profile), "-i"], place), place)


@pytest.mark.parametrize("load", [ZSH_FROM_PACKAGE, ZSH_FROM_PROFILE], ids=["package", "profile"])
def test_zsh_completes_at_its_prompt(place, installed, load):
    place.environment["INSTALLED"] = str(installed)
    (place.root / ".zshrc").write_text(ZSH.format(load=load))
    place.environment["ZDOTDIR"] = str(place.root)
    check_lines(Prompt(["zsh", "-d", "-i"], place), place)


def fish(place, lines):
    """What fish offers for each line: word -> what is told about it."""
    script = "flocks completion fish | source\n"
    for line in lines:
        script += f"echo == ; complete -C {fish_quoted(line)}\n"
    place.environment["XDG_CONFIG_HOME"] = place.environment["XDG_DATA_HOME"] = str(place.root / "fish")
    out = subprocess.run(["fish", "--no-config", "-c", script], env=place.environment, capture_output=True, text=True,
                         timeout=60, check=True)
    assert out.stderr == ""
    answers = []
    for part in out.stdout.split("==\n")[1:]:
        answers.append(dict((*row.split("\t", 1), "")[:2] for row in part.splitlines()))
    return answers


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_fish_completes(place):
    lines = [(line.format(root=place.root), wanted) for line, wanted in LINES if wanted is not None]
    wrong = []
    for (line, wanted), offered in zip(lines, fish(place, [line for line, _ in lines])):
        wanted = wanted.format(root=place.root)
        word = wanted.rstrip(" ").rpartition(" ")[2] if "\\ " not in wanted else wanted.split(" ", 3)[3].strip()
        is_same = word in [name.replace(" ", "\\ ") for name in offered] and len(offered) == 1
        if wanted != line and not is_same or wanted == line and len(offered) == 1:
            wrong.append((line, offered))
    assert not wrong
    assert fish(place, ["flocks wh"])[0] == {"why": "tell why a service is in its state, and what to do"}


def offered(place, *words):
    result = subprocess.run([str(place.bin / "flocks"), "__complete", "--", *words], env=place.environment,
                            capture_output=True, text=True, timeout=30, check=True)
    assert result.stderr == ""
    return dict((*row.split("\t", 1), "")[:2] for row in result.stdout.splitlines())


def test_services_are_those_of_the_running_daemon(place):
    assert offered(place, "status", "") == {"database": "", "web": ""}
    place.start("--quiet")
    place.write("services:\n  other: {command: [sleep, '1']}\n")
    assert offered(place, "status", "") == {"database": "HEALTHY", "web": "HEALTHY"}
    assert offered(place, "restart", "web", "") == {"database": "HEALTHY"}
    assert offered(place, "--config", str(place.config), "status", "d") == {"database": "HEALTHY"}
    place.stop()
    assert offered(place, "status", "") == {"other": ""}


def test_another_root_has_its_own_services(place, make_instance):
    other = make_instance()
    other.write("services:\n  elsewhere: {command: [sleep, '1']}\n")
    for words in (("--root", str(other.root), "status", ""), ("status", f"--root={other.root}", ""),
                  ("--config", str(other.config), "stop", "")):
        assert offered(place, *words) == {"elsewhere": ""}


def test_what_cannot_be_known_is_silent(place):
    place.write("services: [\n")
    assert offered(place, "status", "") == {}
    assert offered(place, "--root", "/nonexistent/none", "status", "") == {"backend": "", "webui": ""}
    assert offered(place, "status", "--timeout", "") == {}
    # Nobody is there, and there is no token.
    place.write(SERVICES)
    assert offered(place, "--socket=tcp:127.0.0.1:1", "status", "") == {"database": "", "web": ""}
    assert offered(place, "nothing", "--") == {}
    assert offered(place) == {}


def test_every_command_and_option_of_the_help_is_offered(place):
    def words_of_help(*command):
        text = place.flocks(*command, "--help", check=0).stdout
        return text.split("\n\n")

    listed = {row.split()[0] for block in words_of_help() if block.startswith("Commands\n")
              for row in block.splitlines()[1:]}
    assert listed == set(offered(place, ""))
    for command in sorted(listed):
        options = {word for block in words_of_help(command) if block.startswith("Options")
                   for row in block.splitlines()[1:] for word in row.split()[:2] if word.startswith("--")}
        wanted = {option.replace("[no-]", "") for option in options}
        wanted |= {option.replace("[no-]", "no-") for option in options}
        assert wanted == set(offered(place, command, "-")), command


def test_packages_install_what_the_command_prints(place, installed):
    for shell, path in (("bash", "bash-completion/completions/flocks"), ("zsh", "zsh/vendor-completions/_flocks"),
                        ("fish", "fish/vendor_completions.d/flocks.fish")):
        text = place.flocks("completion", shell, check=0).stdout
        assert text == (installed / "share" / path).read_text()
    for words in ((), ("csh",), ("bash", "zsh")):
        result = place.flocks("completion", *words, check=2)
        assert "completion takes bash, zsh or fish" in result.stderr


def test_scripts_of_shells_have_no_mistake():
    folder = REPOSITORY / "src/client/cli/completion"
    subprocess.run(["bash", "-n", folder / "flocks.bash"], check=True)
    subprocess.run(["zsh", "-n", folder / "flocks.zsh"], check=True)
    subprocess.run(["fish", "--no-config", "-n", folder / "flocks.fish"], check=True)
