"""Scenarios that mostly wait for bounds of the product which no configuration changes: all at once, each the subject of a
test of its own. They share nothing, or what they share is none the worse for it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def side_by_side(run, scenarios):
    """Begins run(scenario) of each. Yields a function that waits for one of them, answers what it answered and raises what
    it raised."""
    with ThreadPoolExecutor(len(scenarios)) as pool:
        begun = {scenario: pool.submit(run, scenario) for scenario in scenarios}
        yield lambda scenario: begun[scenario].result()
