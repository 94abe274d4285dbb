"""Odoo's own web client in Chromium, unmodified, with Odoo's gevent server (stock), and with the gateway in its place (ours)."""
import itertools
import os

import pytest
from harness.deadline import DEADLINE
from harness.gateway import Gateway

from site_nginx import SiteNginx
from sites import RealSite
from web_client import WebClient

pytestmark = pytest.mark.skipif(not os.environ.get("ODOO_HOME"), reason="ODOO_HOME names no Odoo")


@pytest.fixture(scope="module")
def site(odoo_server):
    return RealSite(odoo_server)


@pytest.fixture(scope="module", params=["ours", "stock"])
def server(request):
    return request.param


@pytest.fixture(scope="module")
def gateway(odoo_server, server):
    """None with Odoo's own server."""
    if server == "stock":
        yield None
        return
    odoo_server.cluster.execute("CREATE EXTENSION IF NOT EXISTS odoo_bus", dbname=odoo_server.name)
    gateway = Gateway(odoo_server.cluster.conninfo(odoo_server.name), auth="odoo", odoo_url=odoo_server.url,
                      trusted_proxy="127.0.0.1", drain_seconds=2).start()
    yield gateway
    gateway.finish()


@pytest.fixture
def ours(gateway):
    """For what Odoo's own server cannot: to hear what SQL sends, and to be restarted alone."""
    if gateway is None:
        pytest.skip("it is about the gateway")
    return gateway


@pytest.fixture(scope="module")
def nginx(odoo_server, gateway):
    with SiteNginx(odoo_server, gateway.port if gateway else odoo_server.gevent_port) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def anna(site):
    return site.add_user("anna")


@pytest.fixture(scope="module")
def ben(site):
    return site.add_user("ben")


@pytest.fixture(scope="module")
def annas(browsers, nginx, server, site, anna):
    """Anna's browser, logged in; tests go where they want with it."""
    return WebClient(browsers.page(f"anna-{server}"), nginx, site).log_in(anna)


@pytest.fixture(scope="module")
def bens(browsers, nginx, server, site, ben):
    return WebClient(browsers.page(f"ben-{server}"), nginx, site).log_in(ben)


names = (f"room {number}" for number in itertools.count(1))


@pytest.fixture
def room(site, anna, ben, annas, bens):
    """A channel of both, which both look at."""
    channel = site.add_channel(anna, ben)
    annas.open_discuss(channel)
    bens.open_discuss(channel)
    return channel


def test_chat_both_ways(room, annas, bens):
    annas.write("Good morning, Ben")
    bens.see_message("Good morning, Ben")
    bens.write("Good morning, Anna")
    annas.see_message("Good morning, Anna")
    for number in range(5):
        annas.write(f"a{number}a")
        bens.write(f"b{number}b")
    for number in range(5):
        annas.see_message(f"b{number}b")
        bens.see_message(f"a{number}a")
    assert [bens.count_messages(f"a{number}a") for number in range(5)] == [1] * 5


def test_typing(room, annas, bens):
    annas.begin_to_type("Let me think")
    bens.see_typing("Anna")


def test_a_channel_that_is_created_and_joined_while_connected(site, anna, ben, annas, bens):
    annas.open_discuss()
    bens.open_discuss()
    name = next(names)
    channel, = annas.call("discuss.channel", "create", [{"name": name, "channel_type": "channel",
                                                         "group_public_id": False}])
    annas.call("discuss.channel", "add_members", [channel], partner_ids=[anna.partner_id, ben.partner_id])
    bens.see_in_sidebar(name)
    bens.open_from_sidebar(name)
    annas.open_discuss(channel)
    annas.write("Welcome to the new room")
    bens.see_message("Welcome to the new room")
    bens.write("It is nice here")
    annas.see_message("It is nice here")


def test_page_reloads(room, annas, bens):
    for number in range(3):
        bens.page.reload()
        bens.page.see(".o-mail-Composer-input")
        annas.write(f"after reload {number}")
        bens.see_message(f"after reload {number}")
        assert bens.count_messages(f"after reload {number}") == 1


def test_a_toast_that_is_sent_by_sql(ours, site, anna, annas, bens):
    annas.open_discuss()
    # On its own, a page connects a moment after it is shown; what is sent before is replayed to it.
    site.sql("""SELECT bus_sendone('res.partner', %s, 'simple_notification',
                                   jsonb_build_object('type', 'info', 'title', 'SQL', 'message', 'from a trigger'))""",
             anna.partner_id)
    annas.see_toast("from a trigger")
    assert bens.page.count('.o_notification:has-text("from a trigger")') == 0


@pytest.mark.parametrize("length", [1000, 100_000, 5_000_000])
def test_a_frame_of_any_length(ours, site, anna, annas, length):
    """A header of 4 bytes, one of 10, and frames that the socket takes in pieces."""
    annas.open_discuss()
    for number in range(3):
        site.sql("""SELECT bus_sendone('res.partner', %s, 'simple_notification',
                                       jsonb_build_object('message', %s::text, 'ballast', repeat('x', %s)))
                    FROM set_config('odoo_bus.max_payload_size', '16MB', true)""",
                 anna.partner_id, f"frame {number} of {length}", length)
    for number in range(3):
        annas.see_toast(f"frame {number} of {length}")


@pytest.mark.parametrize("how", ["terminate", "kill9"])
def test_the_gateway_restarts(ours, room, annas, bens, how):
    annas.write("before the restart")
    bens.see_message("before the restart")
    getattr(ours, how)()
    annas.write(f"meanwhile {how}")
    ours.start()
    bens.see_message(f"meanwhile {how}")
    bens.write(f"afterwards {how}")
    annas.see_message(f"afterwards {how}")
    assert bens.count_messages(f"meanwhile {how}") == 1


def test_another_process_takes_over(ours, room, annas, bens):
    annas.write("before the take-over")
    bens.see_message("before the take-over")
    former = ours.take_over()
    annas.write("while both run")
    bens.see_message("while both run")
    assert former.wait(DEADLINE) == 0
    bens.write("after the take-over")
    annas.see_message("after the take-over")
    for text in ["before the take-over", "while both run", "after the take-over"]:
        assert [page.count_messages(text) for page in [annas, bens]] == [1, 1]


@pytest.fixture(scope="module")
def livechat(site, nginx, anna, annas):
    """A live chat that anna answers, on the website and for other sites to embed; her page tells that she is there."""
    annas.open_discuss()
    site.wait_status(anna, "online")
    site.orm("ir.config_parameter", "set_param", "web.base.url", nginx.url("").rstrip("/"))
    channel, = site.orm("im_livechat.channel", "create", [{"name": "Help", "user_ids": [[6, 0, [anna.id]]]}])
    website, = site.orm("website", "search", [], limit=1)
    site.orm("website", "write", [website], {"channel_id": channel})
    return channel


def chat_as_guest(visitor, annas, url, text):
    visitor.open_live_chat(url)
    visitor.write_in_chat(f"{text}, can you help?")
    annas.open_unread("Visitor")
    annas.see_message(f"{text}, can you help?")
    annas.write(f"Yes, {text}")
    visitor.see_in_chat(f"Yes, {text}")
    visitor.write_in_chat(f"Thank you from {text}")
    annas.see_message(f"Thank you from {text}")


def test_live_chat_of_a_guest(browsers, nginx, server, site, annas, livechat):
    annas.open_discuss()
    visitor = WebClient(browsers.page(f"visitor-{server}"), nginx, site)
    chat_as_guest(visitor, annas, nginx.url("/"), "website")
    assert visitor.page.cookie("dgid")
    visitor.page.forget()


def test_live_chat_that_another_site_embeds(browsers, nginx, server, site, annas, livechat):
    annas.open_discuss()
    visitor = WebClient(browsers.page(f"customer-{server}"), nginx, site)
    chat_as_guest(visitor, annas, nginx.shop(livechat), "shop")
    visitor.page.forget()
