"""The stand-in itself: what it does beyond answering as Odoo does, which test/odoo/contract_test.py compares."""
import http.client
import json
import socket
import threading
import time

import pytest

from harness.deadline import DEADLINE
from standin import RemoteStandin, Standin, faults


@pytest.fixture
def odoo():
    with Standin() as odoo:
        odoo.add_database("mydb")
        yield odoo


@pytest.fixture
def database(odoo):
    return odoo.databases["mydb"]


def post(odoo, path, parameters, **headers):
    """(status, JSON-RPC document or None)."""
    connection = http.client.HTTPConnection("127.0.0.1", odoo.port, timeout=DEADLINE)
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": parameters, "id": 1})
    connection.request("POST", path, body, {"Content-Type": "application/json"} | headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else None


def peek(odoo, cookie="", first=True, **headers):
    return post(odoo, "/websocket/peek_notifications", {"channels": ["a"], "last": 0, "is_first_poll": first},
                Cookie=cookie, **headers)


def test_it_notes_what_it_was_asked_as_it_came(odoo, database):
    session = odoo.login(database.add_user("anna"))
    peek(odoo, session.cookie, **{"User-agent": "Firefox", "X-FORWARDED-for": "192.0.2.1, 192.0.2.2"})
    request, = odoo.log.requests("peek", session)
    assert request.login == "anna"
    assert request.params == {"channels": ["a"], "last": 0, "is_first_poll": True}
    assert ("X-FORWARDED-for", "192.0.2.1, 192.0.2.2") in request.headers
    assert request.header("user-agent") == "Firefox"
    assert (request.status, request.error, request.set_sid) == (200, "", session.sid)
    assert odoo.log.peeks_per_session() == {session.sid: 1}
    assert odoo.log.count("peek", login="anna", public=False) == 1


def test_a_smuggled_request_shows(odoo):
    with socket.create_connection(("127.0.0.1", odoo.port)) as raw:
        raw.sendall(b"GET /web/login HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\n\r\n")
        while raw.recv(65536):
            pass
    request, = odoo.log
    assert request.trailing == b"GET /second HTTP/1.1\r\n\r\n"


def test_it_measures_how_many_are_answered_at_once(odoo):
    odoo.break_with(faults.hang(), ["peek"])
    threads = [threading.Thread(target=lambda: pytest.raises(http.client.HTTPException, peek, odoo))
               for _ in range(5)]
    for thread in threads:
        thread.start()
    odoo.wait_for(lambda log: log.running == 5)
    assert post(odoo, "/websocket/on_closed", {}) == (200, {"jsonrpc": "2.0", "id": 1})
    odoo.mend()
    for thread in threads:
        thread.join()
    assert odoo.log.high_water == 6
    odoo.wait_for(lambda log: log.running == 0)
    assert peek(odoo)[0] == 200


def test_a_worker_answers_one_at_a_time():
    with Standin(workers=1, cost=0.05) as odoo:
        odoo.add_database("mydb")
        threads = [threading.Thread(target=peek, args=[odoo]) for _ in range(4)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("fault", ["close", "reset", "half", "garbage", "endless_head"])
def test_faults_that_break_the_answer(odoo, fault):
    odoo.break_with(getattr(faults, fault)(), times=1)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        peek(odoo)
    assert peek(odoo)[0] == 200


def test_faults_that_answer_something_else(odoo):
    odoo.break_with(faults.status(500), times=1)
    assert peek(odoo) == (500, None)
    odoo.break_with(faults.html(), times=1)
    assert peek(odoo) == (200, None)
    odoo.break_with(faults.error(100, "odoo.http.SessionExpiredException"), times=1)
    assert peek(odoo)[1]["error"]["code"] == 100
    odoo.break_with(faults.huge(), times=1)
    assert len(peek(odoo)[1]["result"]["channels"]) == 10_000
    odoo.break_with(faults.delay(0.1), ["presence"])
    assert "result" in peek(odoo)[1]
    odoo.break_with(faults.half_head(), times=1)
    with socket.create_connection(("127.0.0.1", odoo.port)) as raw:
        raw.sendall(b"GET /web/login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(raw.recv(65536)) == 30 and raw.recv(65536) == b""


def test_it_can_be_down_and_come_back_on_the_same_port(odoo):
    port = odoo.port
    odoo.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        peek(odoo)
    odoo.listen()
    assert odoo.port == port and peek(odoo)[0] == 200


def test_session_files_come_and_go(tmp_path):
    with Standin(data_dir=tmp_path) as odoo:
        session = odoo.login(odoo.add_database("mydb").add_user("anna"))
        path = tmp_path / "sessions" / session.sid[:2] / session.sid
        assert path.exists()
        odoo.logout(session)
        assert not path.exists()


def test_time_can_be_compressed():
    with Standin() as odoo:
        odoo.clock.speed = 100_000
        begin = odoo.clock.now()
        deadline = time.monotonic() + DEADLINE
        while odoo.clock.now() < begin + 3600:
            assert time.monotonic() < deadline
        odoo.clock.speed = 1
        before = odoo.clock.now()
        odoo.clock.advance(hours=4)
        assert 4 * 3600 <= odoo.clock.now() - before < 4 * 3600 + 60


def test_it_runs_in_a_process_of_its_own():
    with RemoteStandin(version="17.0") as odoo:
        assert odoo.run("d = odoo.add_database('mydb')") is None
        cookie = odoo.run("odoo.login(d.add_user('anna')).cookie")
        assert peek(odoo, cookie)[0] == 200
        assert odoo.run("odoo.log.count('peek', login='anna')") == 1
        with pytest.raises(AssertionError, match="NameError"):
            odoo.run("unheard_of")
