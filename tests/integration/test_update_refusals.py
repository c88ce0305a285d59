"""Releases that are no good: the old version serves throughout, or again, and the message says which step, why, and
what to do."""

import io
import json
import os
import tarfile

import pytest
import releases
from instance import start_ticks
from product import Traffic

pytestmark = pytest.mark.no_chaos(reason="says what a release leads to, not a death")

DATA_LOSS, UNAUTHENTICATED, RESOURCE_EXHAUSTED = 15, 16, 8
ENDING = "#!/bin/sh\necho preparing the ground\necho the ground is sour >&2\nexit 7\n"
# Starts what has a session of its own, and waits for it.
HANGING = '#!/bin/sh\nsetsid sleep 1000 &\necho $! > "$FLOCKS_ROOT/logs/hangs"\nsleep 1000\n'


def identities(product):
    return {s["name"]: (s["pid"], start_ticks(s["pid"])) for s in product.instance.status()["services"]}


def refused(product, *arguments, words, code=None):
    """An update that fails before anything was stopped: the same processes served all the time."""
    before = identities(product)
    with Traffic(product.ports) as traffic:
        outcome = product.apply(*arguments, check=None)
    assert outcome.code not in (0, -6, -11) and outcome.is_over, outcome.said
    for name in product.ports:
        assert {what for _, _, what in traffic.answers[name]} == {"1.0.0"}
    assert identities(product) == before
    product.assert_whole("1.0.0")
    assert_message(outcome, words)
    if code is not None:
        assert outcome.last["code"] == code, outcome.last
    return outcome


def assert_message(outcome, words):
    """Step and reason are in the message, and a hint says what to do."""
    text = outcome.text.lower()
    for word in words:
        assert word.lower() in text, f"{word!r} is not in: {outcome.text}"
    assert outcome.last["error"].get("hint"), f"no hint: {outcome.last}"


def rolled_back(product, *arguments, words):
    """An update that fails once the new version was started: the old one serves again."""
    with Traffic(product.ports) as traffic:
        outcome = product.apply(*arguments, check=None)
        assert outcome.code > 0 and outcome.is_over, outcome.said
        product.assert_whole("1.0.0")
    for name in product.ports:
        assert traffic.versions(name)[0] == traffic.versions(name)[-1] == "1.0.0"
    assert outcome.last["phase"] == "UPGRADE_PHASE_ROLLED_BACK", outcome.last
    assert_message(outcome, words)
    return outcome


# ---- what is published ----


def test_archive_unsigned_is_refused(product, publisher):
    publisher.publish("1.1.0", sign=False)
    refused(product, words=["product-1.1.0.tar.gz", "not signed"])


def test_archive_signed_by_another_key_is_refused(product, publisher, tmp_path):
    publisher.publish("1.1.0", key=releases.Key(tmp_path, "stranger"))
    refused(product, words=["product-1.1.0.tar.gz", "key"], code=UNAUTHENTICATED)


def test_archive_altered_is_refused(product, publisher):
    """One bit, with a SHA-256 that the attacker has changed as well: the signature tells."""
    path = publisher.publish("1.1.0", sign=True, digest=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused(product, words=["product-1.1.0.tar.gz"], code=DATA_LOSS)


def test_archive_truncated_is_refused(product, publisher):
    path = publisher.publish("1.1.0")
    path.write_bytes(path.read_bytes()[:-100])
    refused(product, words=["product-1.1.0.tar.gz"])


def test_archive_of_an_older_version_under_a_new_name_is_refused(product, publisher):
    """A good signature of another file: the trusted comment tells which."""
    old = publisher.publish("0.9.0")
    path = old.with_name("product-1.1.0.tar.gz")
    path.write_bytes(old.read_bytes())
    path.with_name(path.name + ".minisig").write_bytes(old.with_name(old.name + ".minisig").read_bytes())
    publisher.publish_file(path, "1.1.0", sign=False, entry=None)
    publisher.entries["1.1.0"]["assets"][0]["signature"] = path.name + ".minisig"
    publisher.withdraw("0.9.0")
    refused(product, words=["product-1.1.0.tar.gz"])


def test_archive_that_tells_another_version_is_refused(product, publisher):
    publisher.publish("1.1.0", release={"version": "1.2.0"})
    refused(product, words=["1.2.0", "1.1.0"])


def test_archive_without_what_the_services_need_is_refused(product, publisher):
    """Seen while the old version serves, not when its directory is missing after the stop."""
    publisher.publish("1.1.0", files={"webui/service.py": None, "elsewhere": "x"})
    refused(product, words=["webui"])


def test_release_that_does_not_fit_is_refused_before_anything_is_fetched(product, publisher):
    path = publisher.publish("1.1.0", release={"install_size": 1 << 56})
    outcome = refused(product, words=["free"], code=RESOURCE_EXHAUSTED)
    assert path.exists() and "STOPPING" not in outcome.said


def test_announced_size_that_does_not_fit_is_refused_before_it_is_fetched(product, publisher):
    publisher.publish("1.1.0")
    publisher.entries["1.1.0"]["assets"][0]["size"] = 3 * 1024**5
    publisher.write_index()
    refused(product, words=["free"], code=RESOURCE_EXHAUSTED)
    assert "/product-1.1.0.tar.gz" not in publisher.server.asked


def test_server_that_is_gone_says_which_sources_were_asked(product, publisher):
    publisher.server.shutdown()
    publisher.server.socket.close()
    refused(product, words=["127.0.0.1"])


@pytest.mark.parametrize(
    "name, kind, target",
    [
        ("../../outside", tarfile.REGTYPE, ""),
        ("/tmp/outside", tarfile.REGTYPE, ""),
        ("product-1.1.0/link", tarfile.SYMTYPE, "../../../outside"),
        ("product-1.1.0/device", tarfile.CHRTYPE, ""),
    ],
    ids=["above", "absolute", "link", "device"],
)
def test_archive_hostile_is_refused_and_leaves_nothing(product, publisher, name, kind, target):
    """Well signed all the same: a key that was stolen. What an archive can do else: test_updater_unpack."""
    path = publisher.site / "product-1.1.0.tar"
    with tarfile.open(path, "w") as archive:
        for file, content in releases.tree("1.1.0").items():
            info = tarfile.TarInfo(f"product-1.1.0/{file}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    publisher.publish_file(path, "1.1.0")
    refused(product, words=["product-1.1.0.tar"])
    assert not (product.root / "outside").exists() and not (product.root.parent / "outside").exists()


# ---- install steps ----


def test_install_step_that_fails_says_which_and_its_last_line(product, publisher):
    publisher.publish(
        "1.1.0",
        release={"install": [{"name": "till the ground", "command": ["./step.sh"], "retries": 1}]},
        files={"step.sh": ENDING},
    )
    refused(product, words=["till the ground", "7", "the ground is sour"])
    log = product.instance.log("update")
    assert log.count("preparing the ground") == 2


def test_install_step_that_hangs_ends_with_all_that_it_started(product, publisher):
    publisher.publish(
        "1.1.0",
        release={"install": [{"name": "wait for Godot", "command": ["./step.sh"], "timeout": "1s"}]},
        files={"step.sh": HANGING},
    )
    refused(product, words=["wait for Godot", "1s"])
    pid = int((product.root / "logs" / "hangs").read_text())
    assert not os.path.exists(f"/proc/{pid}")


def test_install_step_sees_the_old_version_serve_and_cannot_change_it(product, publisher):
    """The old updater changed dependencies under the running service."""
    look = '#!/bin/sh\npwd > where\nreadlink "$FLOCKS_ROOT/current" > old\nenv | grep ^FLOCKS_ > environment\n'
    publisher.publish("1.1.0", release={"install": [{"command": ["./look.sh"]}]}, files={"look.sh": look})
    old = product.root / "releases" / "1.0.0"
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    product.apply()
    product.assert_whole("1.1.0")
    new = product.root / "releases" / "1.1.0"
    assert (new / "where").read_text().strip() == str(new) + ".partial"
    assert (new / "old").read_text().strip() == "releases/1.0.0"
    environment = dict(line.split("=", 1) for line in (new / "environment").read_text().splitlines())
    assert environment["FLOCKS_RELEASE"] == str(new) and environment["FLOCKS_VERSION"] == "1.1.0"
    assert environment["FLOCKS_FROM_VERSION"] == "1.0.0"
    assert {path: path.stat().st_mtime_ns for path in old.rglob("*")} == before


# ---- what the new version does ----


@pytest.mark.parametrize(
    "behaviour, words",
    [
        ({"backend": {"exit": 3}}, ["backend"]),
        ({"webui": {"exit": 0}}, ["webui"]),
        ({"backend": {"ends_after": 0.2}}, ["backend"]),
    ],
)
def test_release_that_does_not_start_or_stay_is_rolled_back(make_product, publisher, behaviour, words):
    product = make_product(observe="5s")
    publisher.publish("1.1.0", behaviour=behaviour)
    rolled_back(product, words=words)


def test_release_that_is_never_ready_is_rolled_back_in_time(make_product, publisher):
    product = make_product(start_timeout="3s")
    publisher.publish("1.1.0", behaviour={"backend": {"deaf": True}})
    rolled_back(product, words=["backend", "3 s"])


def test_release_that_turns_unhealthy_within_the_observation_is_rolled_back(make_product, publisher):
    product = make_product(observe="4s")
    publisher.publish("1.1.0", behaviour={"webui": {"sick_after": 0.5}})
    rolled_back(product, words=["webui"])


def test_release_that_tells_the_wrong_version_is_rolled_back(product, publisher):
    publisher.publish("1.1.0", behaviour={"webui": {"tells": "0.0.1"}})
    rolled_back(product, words=["0.0.1", "1.1.0"])
    assert json.loads((product.root / "run" / "upgrade-result.json").read_text())


def test_release_that_was_bad_can_be_installed_when_it_is_mended(product, publisher):
    publisher.publish("1.1.0", behaviour={"backend": {"exit": 3}})
    rolled_back(product, words=["backend"])
    publisher.publish("1.1.0")
    product.apply("--force")
    product.assert_whole("1.1.0", "1.1.0+reinstall.1")
