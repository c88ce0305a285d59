"""Deaths in the middle of an upgrade, at a step of its journal or at a random moment, and what must be so afterwards. The
suite has some (test_update_kills.py); all of them, and as many random ones as you like: tools/upgrades."""

import random
import signal
import time

from instance import is_alive, wait_until
from product import FIRST_STEP_OF_NEW, JOURNAL_STEPS, Stopped, send

VICTIMS = (
    ("updater",),
    ("flocksd",),
    ("keeper",),
    ("updater", "flocksd"),
    ("updater", "keeper"),
    ("flocksd", "keeper"),
    ("updater", "flocksd", "keeper"),
)
# Who finishes what a dead updater has left before its lease began; afterwards flocksd does by itself.
RECOVERIES = ("recover", "start", "flocksd")
FIRST_STEP_OF_LEASE = "leasing"


def all_moments():
    """(step, at_end, victims): every step at its beginning with every set of victims, and at its end those with the
    updater; for the others that is the beginning of the next."""
    for step in JOURNAL_STEPS:
        for victims in VICTIMS:
            yield step, False, victims
            if "updater" in victims:
                yield step, True, victims


def kill(product, victims, updater):
    """All at once: nobody sees the other's death. `updater`: its pid; 0: none runs."""
    daemon = product.instance.status()["daemon"]
    pids = {"updater": updater, "flocksd": daemon["pid"], "keeper": daemon["keeper_pid"]}
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            send(pids[victim], number)
    wait_until(lambda: not any(is_alive(pids[v]) for v in victims if pids[v]), what=f"{victims} dead")


def start(product):
    """Refused while an updater lives that has begun to change something: it knows better, and ends soon."""
    codes = []

    def is_done():
        codes.append(product.instance.flocks("start", "--no-browser").returncode)
        return codes[-1] != 5

    wait_until(is_done, 90, f"a start that is not refused: {codes}")


def bring_back(product, victims, recovery):
    """What a person does then: nothing, where somebody is left who acts by himself."""
    if {"flocksd", "keeper"} <= set(victims):
        start(product)
    elif recovery == "recover":
        product.update("recover")
    elif recovery == "start":
        product.instance.stop()
        start(product)
    else:
        product.kill("flocksd")


def assert_whole(product, victims, *versions):
    """What a killed updater has fetched goes, too; one that ended by itself may have left it for the next."""
    product.assert_whole(*versions)
    fetched = product.root / "run" / "downloads"
    assert "updater" not in victims or not fetched.exists(), sorted(fetched.iterdir())


def kill_at(product, publisher, version, step, at_end, victims, recovery="recover"):
    """An upgrade to `version`, and those who are killed when its journal says `step`. Answers the version that is
    current afterwards."""
    old = product.current()
    publisher.publish(version)
    with Stopped(product, step, "apply", at_end=at_end) as stopped:
        kill(product, victims, stopped.updater_pid)
        if "updater" in victims:
            is_committed = step == "committed" or (step == "committing" and at_end)
            if {"flocksd", "keeper"} <= set(victims) or JOURNAL_STEPS.index(step) < JOURNAL_STEPS.index("leased"):
                bring_back(product, victims, recovery)
            wanted = (version,) if is_committed else (old, version) if step == FIRST_STEP_OF_NEW else (old,)
        else:
            daemons = {"flocksd", "keeper"} <= set(victims)
            outcome = stopped.finish(meanwhile=(lambda: start(product)) if daemons else None)
            wanted = (old, version)
            # One death of the two is noticed by nobody.
            if len(victims) == 1:
                assert outcome.code == 0, outcome.said
                wanted = (version,)
    assert_whole(product, victims, *wanted)
    publisher.withdraw(version)
    return product.current()


def kill_somewhere(product, publisher, version, dice, seconds, among=VICTIMS):
    """As kill_at, anybody at any moment of an upgrade that takes about `seconds`; sometimes again while it is being
    mended. Answers (victims, step of the journal, version afterwards)."""
    old = product.current()
    publisher.publish(version)
    victims, recovery = dice.choice(among), dice.choice(RECOVERIES)
    updater = product.begin("apply")
    time.sleep(dice.uniform(0, seconds))
    step = product.journal()
    kill(product, victims, updater.pid if updater.poll() is None else 0)
    if dice.random() < 0.25 and "updater" in victims and "flocksd" not in victims:
        # Who mends dies as well.
        mender = product.begin("recover")
        time.sleep(dice.uniform(0, 0.3))
        send(mender.pid if mender.poll() is None else 0, signal.SIGKILL)
        mender.communicate(timeout=60)
    if "updater" in victims or {"flocksd", "keeper"} <= set(victims):
        bring_back(product, victims, recovery)
    outcome = product.finish(updater)
    assert "updater" in victims or outcome.is_over, outcome.said
    if {"flocksd", "keeper"} <= set(victims) and product.journal():
        # It may have left to the server what only the server knows, after that had been started.
        start(product)
    assert_whole(product, victims, old, version)
    publisher.withdraw(version)
    return victims, step, product.current()


def dice_of(seed):
    return random.Random(f"upgrades {seed}")
