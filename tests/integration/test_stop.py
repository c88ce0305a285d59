"""Stop means empty, whatever the processes of a service do to stay."""

import pytest

from families import KINDS, as_ordinary_user, configuration, run_once

RUNS = 3


@pytest.mark.parametrize("kind", KINDS)
def test_stop_is_empty_with(kind, instance):
    """process-compose#520, Supervisor#1101, pebble#594, pm2#6084: reported as stopped, with survivors."""
    user = as_ordinary_user(instance.root) if kind == "hidden" else {}
    instance.write(configuration([kind], instance.root))
    for _ in range(RUNS):
        run_once(instance, kind, [kind], **user)


def test_stop_is_empty_with_all_of_them_in_one_service(instance):
    instance.write(configuration(KINDS, instance.root, together=True))
    for _ in range(RUNS):
        run_once(instance, "family", KINDS)
