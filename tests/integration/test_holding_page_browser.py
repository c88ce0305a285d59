"""People before the WebUI in a real browser, while it is stopped, replaced and started: they see the holding page in their
language, and are back where they were by themselves."""

import pytest
from chromium import Chromium
from instance import SERVICES, wait_until
from test_holding_page import Web

pytestmark = pytest.mark.no_chaos(reason="takes leases over one connection, and kills flocksd itself")

ENGLISH = "A new version is being installed"
CHINESE = "正在安装新版本"


def test_browser_goes_through_stop_and_start_and_comes_back(instance, stubs, free_port):
    web = Web(instance, stubs, (free_port(), free_port()))
    instance.start()
    deep = f"http://127.0.0.1:{web.port}/deep/link?a=b#part"
    with Chromium() as browser:
        english = browser.open(deep)
        chinese = browser.open(f"http://127.0.0.1:{web.port}/", language="zh-CN,zh;q=0.9,en;q=0.8")
        for page in (english, chinese):
            page.wait_for_text("release 1")
        lease = web.hold()
        english.wait_for_text(ENGLISH)
        chinese.wait_for_text(CHINESE)
        assert english.evaluate("document.documentElement.lang") == "en"
        assert chinese.evaluate("document.title") == "正在更新"

        # Without JavaScript it loads itself again and again.
        plain = browser.open(deep, scripts=False)
        loads = plain.loads()
        wait_until(lambda: plain.loads() >= loads + 2, 60, "two more documents")

        # flocksd dies, and its successor answers: nobody before the screen sees that.
        web.kill_flocksd()
        web.wait_for_page()
        assert ENGLISH in english.text()

        web.switch()
        web.commit(lease)
        for page in (english, chinese):
            page.wait_for_text("release 2")
        assert english.evaluate("location.href") == deep
        assert "/deep/link?a=b#part" in english.text()


def test_browser_goes_through_a_whole_upgrade_and_its_roll_back(make_product, publisher):
    """To a version that comes up, and to one whose WebUI does not: then the old one is back."""
    product = make_product(start=False)
    gate = product.root / "gate"
    webui = (SERVICES / "webui.py").read_text()
    backend = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
    backend += (SERVICES / "product.py").read_text()
    (product.root / "releases" / "1.0.0" / "webui" / "service.py").write_text(webui)
    publisher.publish("2.0.0", files={"backend/service.py": backend, "webui/service.py": webui})
    publisher.publish("3.0.0", files={"backend/service.py": backend, "webui/service.py": "raise SystemExit(1)"})
    product.start()
    with Chromium() as browser:
        page = browser.open(f"http://127.0.0.1:{product.ports['webui']}/deep/link?a=b#part")
        page.wait_for_text("release 1.0.0")
        for version, succeeds in (("2.0.0", True), ("3.0.0", False)):
            gate.unlink(missing_ok=True)
            updater = product.begin("apply", "--to", version)
            page.wait_for_text(ENGLISH)
            gate.touch()
            assert (product.finish(updater).code == 0) == succeeds
            page.wait_for_text("release 2.0.0")
            assert "/deep/link?a=b#part" in page.text()
