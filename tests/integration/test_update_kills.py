"""`kill -9` of the updater, of flocksd, of the keeper and of all of them, at steps of the journal and at random moments.
tools/upgrades has every step with everybody, and hundreds of moments."""

import pytest
import upgrade_kills
from product import JOURNAL_STEPS

pytestmark = pytest.mark.no_chaos(reason="kills by itself")

EVERYBODY = ("updater", "flocksd", "keeper")


def test_mixed_tree_after_a_crash_cannot_be(product, publisher):
    """The updater dies at each step, at its beginning or at its end; whoever is left mends it: the command, a start, a
    flocksd, by turns. Without a lease it needs one of these; with it flocksd does it by itself."""
    for number, step in enumerate(JOURNAL_STEPS, 1):
        upgrade_kills.kill_at(
            product,
            publisher,
            f"1.0.{number}",
            step,
            at_end=number % 2 == 0,
            victims=("updater",),
            recovery=upgrade_kills.RECOVERIES[number % 3],
        )


def test_everybody_killed_at_once_leaves_one_whole_version(product, publisher):
    """The next start finds the journal, and finishes or undoes before it starts anything."""
    for number, step in enumerate(("preparing", "leasing", "stopping", "switched", "committing", "committed"), 1):
        upgrade_kills.kill_at(product, publisher, f"1.0.{number}", step, at_end=False, victims=EVERYBODY)


@pytest.mark.parametrize("victim, steps", [("flocksd", ("leased", "switched", "committing")), ("keeper", ("stopping", "committing"))])
def test_one_of_the_daemons_killed_at_a_step_is_not_noticed(product, publisher, victim, steps):
    for number, step in enumerate(steps, 1):
        upgrade_kills.kill_at(product, publisher, f"1.0.{number}", step, at_end=False, victims=(victim,))


def test_both_daemons_killed_under_a_living_updater(product, publisher):
    """It waits for a start, and ends in one of the two versions."""
    for number, step in enumerate(("switched", "committing"), 1):
        upgrade_kills.kill_at(product, publisher, f"1.0.{number}", step, at_end=False, victims=("flocksd", "keeper"))


def test_random_deaths_leave_one_whole_version(product, publisher):
    dice = upgrade_kills.dice_of(1)
    # An updater that lives on waits half a minute for a daemon; that has a test of its own.
    among = [victims for victims in upgrade_kills.VICTIMS if victims != ("flocksd", "keeper")]
    for number in range(1, 6):
        upgrade_kills.kill_somewhere(product, publisher, f"1.0.{number}", dice, seconds=2.0, among=among)
