// The module by itself: a clock that the test moves, a network that it speaks for.
import assert from "node:assert/strict";
import { test } from "node:test";

import { BusService, Connection, EventStreamParser, Hub } from "../../client/bus_service.js";
import { FakeNetwork, row } from "./fake_network.mjs";

const BASE = "https://example.test/";

// A connection to a fake server, and everything that it tells.
function connection(transports = ["websocket", "events", "polling"]) {
  const network = new FakeNetwork();
  const told = { events: [], ids: [], confirmed: [] };
  const bus = new Connection(network.environment, { base: BASE, transports }, {
    event: (name, detail) => told.events.push([name, detail]),
    batch: (notifications) => told.ids.push(...notifications.map(({ id }) => id)),
    confirmed: (revision, how) => told.confirmed.push([revision, how]),
  });
  const names = () => told.events.map(([name]) => name);
  return { network, told, bus, names };
}

async function connected() {
  const all = connection();
  all.bus.setChannels(["a"]);
  all.bus.start();
  await all.network.pass();
  all.network.socket.accept();
  all.network.socket.confirm(5);
  return all;
}

// --- event streams ---

test("an event stream is read whatever its pieces are", () => {
  const text = ": heartbeat\n\nevent: internal\ndata: [1]\n\ndata: é\r\ndata:two\nid: 12\nretry: 10\n\nid: 13\n\ndata: unfinished\n";
  for (let size = 1; size <= text.length; ++size) {
    const parser = new EventStreamParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) {
      events.push(...parser.push(text.slice(at, at + size)));
    }
    assert.deepEqual(events, [
      { event: "internal", data: "[1]", id: undefined },
      { event: "message", data: "é\ntwo", id: "12" },
      { event: "message", data: "", id: "13" },
    ]);
  }
});

// --- one connection ---

test("a subscription carries the channels and where to go on", async () => {
  const { network, bus } = await connected();
  assert.equal(network.socket.url, "wss://example.test/websocket");
  assert.deepEqual(network.socket.subscribes, [{ channels: ["a"], last: 0, name_channels: true, check_outdated: false, confirm: 1 }]);
  assert.equal(bus.last, 5);
  network.socket.frame(row(9, 1), row(7, 2));
  assert.equal(bus.last, 7); // a position, not a maximum
  network.socket.drop();
  await network.pass(2_500);
  network.socket.accept();
  assert.deepEqual(network.socket.subscribes, [{ channels: ["a"], last: 7, name_channels: true, check_outdated: true, confirm: 1 }]);
});

test("changes of the channels are gathered", async () => {
  const { network, bus } = await connected();
  for (const channels of [["a", "b"], ["a", "b", "c"], ["b"]]) {
    bus.setChannels(channels);
  }
  await network.pass(1_000);
  assert.deepEqual(network.socket.subscribes.map(({ channels }) => channels), [["a"], ["b"]]);
  bus.setChannels(["b"]);
  await network.pass(1_000);
  assert.equal(network.socket.subscribes.length, 2);
  bus.setChannels(["b"], true);
  await network.pass(1_000);
  assert.equal(network.socket.subscribes.length, 3);
});

test("a subscription is confirmed by the server, or after a while by a server that cannot", async () => {
  const { network, bus, told } = await connected();
  assert.deepEqual(told.confirmed, [[1, { refused: [], error: undefined }]]);
  bus.setChannels(["x"]);
  await network.pass(20_000);
  assert.equal(told.confirmed.length, 1, "a server that confirms is waited for");

  const stock = connection();
  stock.bus.start();
  await stock.network.pass();
  stock.bus.setChannels(["a"]);
  stock.network.socket.accept();
  await stock.network.pass(4_000);
  assert.equal(stock.told.confirmed.length, 0);
  await stock.network.pass(2_000);
  assert.equal(stock.told.confirmed.length, 1);
});

test("every transport confirms anew, once", async () => {
  const { network, told } = await connected();
  network.socket.confirm(5);
  assert.equal(told.confirmed.length, 1);
  network.socket.drop();
  await network.pass(2_500);
  network.socket.accept();
  network.socket.confirm(5, { refused: ["a"] });
  network.socket.confirm(5);
  assert.deepEqual(told.confirmed.slice(1), [[1, { refused: ["a"], error: undefined }]]);
});

test("the delay grows, with jitter, up to a minute", async () => {
  const { network, bus, told } = connection(["websocket"]);
  bus.start();
  for (let i = 0; i < 15; ++i) {
    await network.pass();
    network.socket.drop();
    await network.pass(61_000);
  }
  const delays = told.events.filter(([name]) => name === "reconnecting").map(([, { delay }]) => delay);
  assert.deepEqual(delays.slice(0, 3), [2_000, 2_750, 3_875]);
  assert.equal(delays.at(-1), 60_500);
});

test("codes: 4002 comes back at once, 1000 never, 4001 tells that it has expired", async () => {
  const soon = await connected();
  soon.network.socket.drop(4002);
  await soon.network.pass(1_000);
  assert.equal(soon.network.sockets.length, 2);

  const over = await connected();
  over.network.socket.drop(1000, "OUTDATED_VERSION");
  await over.network.pass(600_000);
  assert.equal(over.network.sockets.length, 1);
  assert.ok(over.names().includes("outdated"));

  const expired = await connected();
  expired.network.socket.drop(4001);
  assert.ok(expired.names().includes("expired"));
  await expired.network.pass(2_500);
  assert.equal(expired.network.sockets.length, 2);
});

test("a connection without a sign of life is replaced", async () => {
  const { network, names } = await connected();
  await network.pass(30_000);
  assert.deepEqual(network.socket.sent.at(-1), { event_name: "bus/ping", data: null });
  network.socket.frame({ type: "bus/pong", internal: true, payload: { last: 8 } });
  await network.pass(20_000);
  assert.equal(network.sockets.length, 1);
  await network.pass(30_000);
  assert.ok(names().includes("disconnect"));
  assert.ok(network.sockets.length > 1);
});

test("a connection without a sign of life is replaced, although the clock is set back", async () => {
  const { network } = await connected();
  network.clockError = -3_600_000;
  await network.pass(120_000);
  assert.ok(network.sockets.length > 1);
});

test("a server that answers no ping gets Odoo's byte, and is not suspected", async () => {
  const { network, bus } = connection();
  bus.start();
  await network.pass();
  network.socket.accept();
  await network.pass(61_000);
  assert.deepEqual(network.socket.sent.at(-1), new Uint8Array([0]));
  await network.pass(300_000);
  assert.equal(network.sockets.length, 1);
});

test("a stream that says nothing for 45 s is replaced, one with heartbeats is not", async () => {
  const { network, bus, names } = connection(["events"]);
  bus.start();
  await network.pass();
  network.request.stream();
  network.request.confirm(4);
  for (let n = 0; n < 10; ++n) {
    await network.pass(44_000);
    assert.equal(network.requests.length, 1);
    network.request.say(": heartbeat\n\n");
  }
  await network.pass(44_000);
  assert.deepEqual([bus.state, network.requests[0].signal.aborted], ["connected", false]);
  await network.pass(1_500);
  assert.ok(network.requests[0].signal.aborted);
  assert.ok(names().includes("disconnect"));
  await network.pass(2_500);
  assert.equal(network.requests.length, 2);
  assert.equal(network.request.body.last, 4);
  bus.stop();
});

test("a poll that is not answered within 75 s is given up, one that is held for 50 s is not", async () => {
  const { network, bus, names } = connection(["polling"]);
  bus.start();
  await network.pass();
  network.request.result({ type: "bus/subscribed", internal: true, payload: { confirm: 0, last: 3 } });
  for (let n = 2; n < 10; ++n) {
    await network.pass(50_000);
    assert.equal(network.requests.length, n);
    network.request.result();
  }
  await network.pass(74_000);
  assert.deepEqual([bus.state, network.requests.length, network.request.signal.aborted], ["connected", 10, false]);
  await network.pass(1_500);
  assert.ok(network.requests[9].signal.aborted);
  assert.ok(names().includes("disconnect"));
  await network.pass(2_500);
  assert.equal(network.requests.length, 11);
  assert.equal(network.request.body.params.last, 3);
  bus.stop();
});

test("after a sleep the connection is tried at once", async () => {
  const { network, bus } = await connected();
  network.sleep(3_600_000);
  await network.pass();
  assert.deepEqual(network.socket.sent.at(-1), { event_name: "bus/ping", data: null });
  network.socket.frame({ type: "bus/pong", internal: true, payload: {} });
  bus.wake();
  await network.pass(13_000);
  assert.ok(network.sockets.length > 1, "nobody answered");
});

test("offline waits for online, and nothing else", async () => {
  const { network, bus, names } = await connected();
  bus.setOffline(true);
  await network.pass(3_600_000);
  assert.equal(network.sockets.length, 1);
  assert.equal(bus.state, "offline");
  bus.setOffline(false);
  await network.pass(1_000);
  network.socket.accept();
  assert.deepEqual(names().slice(-3), ["reconnecting", "connecting", "reconnect"]);
});

test("outdated: what the server says and what it sends", async () => {
  const { network, bus, names } = await connected();
  network.socket.frame({ type: "bus/subscription_outdated", internal: true, payload: null });
  network.socket.frame({ type: "bus/last_id_reset", internal: true, payload: 3 });
  assert.equal(names().filter((name) => name === "outdated").length, 2);
  assert.equal(bus.last, 3);
});

// --- transports ---

test("a blocked WebSocket falls back to a stream, and comes back when it can", async () => {
  const { network, bus, told, names } = connection();
  bus.setChannels(["a"]);
  bus.start();
  await network.pass();
  network.socket.drop();
  await network.pass();
  assert.equal(network.request.path, "/bus/events");
  assert.deepEqual(network.request.body.channels, ["a"]);
  network.request.stream();
  network.request.confirm(4);
  await network.pass();
  assert.equal(bus.transportName, "events");
  network.request.say(`data: ${JSON.stringify([row(5, 1)])}\nid: 5\n\nid: 6\n\n`);
  await network.pass();
  assert.deepEqual(told.ids, [5]);
  assert.equal(bus.last, 6);

  await network.pass(5_000);
  network.socket.drop(); // still blocked
  network.request.say(": heartbeat\n\n");
  await network.pass(10_000);
  assert.equal(network.sockets.length, 3);
  network.socket.accept();
  await network.pass();
  network.socket.accept();
  await network.pass();
  assert.equal(bus.transportName, "websocket");
  assert.equal(network.socket.subscribes[0].last, 6);
  assert.ok(network.request.signal.aborted);
  assert.ok(!names().includes("disconnect"), "nothing was lost meanwhile");
  assert.equal(names().at(-1), "upgrade");
});

test("an event waits for a WebSocket", async () => {
  const { network, bus } = connection(["websocket", "events"]);
  bus.send("stopped");
  bus.start();
  await network.pass();
  bus.send("connecting", 1);
  network.socket.drop(); // blocked
  await network.pass();
  network.request.stream();
  network.request.confirm(4);
  await network.pass();
  assert.equal(bus.transportName, "events");
  for (let n = 0; n < 31; ++n) {
    bus.send("on events", n);
  }
  await network.pass(5_000);
  network.socket.accept(); // it gets through now
  await network.pass();
  network.socket.accept();
  await network.pass();
  assert.equal(bus.transportName, "websocket");
  const events = network.socket.sent.filter(({ event_name }) => event_name !== "subscribe").map(({ event_name, data }) => [event_name, data]);
  assert.deepEqual(events, [["connecting", 1], ...Array.from({ length: 31 }, (_, n) => ["on events", n])]);
});

test("where neither gets through it polls", async () => {
  const { network, bus, told } = connection();
  bus.setChannels(["a"]);
  bus.start();
  await network.pass();
  network.socket.drop();
  await network.pass();
  network.request.stream(); // a proxy that keeps everything to itself
  await network.pass(10_000);
  assert.equal(network.request.path, "/longpolling/poll");
  assert.equal(network.request.body.params.confirm, 1);
  network.request.result({ type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 3 } });
  await network.pass();
  assert.equal(bus.transportName, "polling");
  assert.deepEqual(told.confirmed, [[1, { refused: [], error: undefined }]]);
  assert.equal(network.request.body.params.confirm, undefined);
  assert.equal(network.request.body.params.last, 3);
  network.request.result(row(4, 1));
  await network.pass();
  assert.deepEqual(told.ids, [4]);
  assert.equal(network.request.body.params.last, 4);
  network.request.result(); // nothing for 50 s: where are we?
  await network.pass();
  assert.equal(network.request.body.params.confirm, 1);
});

test("a poll that brings notifications confirms nothing: the next one is asked, and in the end it is believed", async () => {
  for (const confirms of [true, false]) {
    const { network, bus, told } = connection(["polling"]);
    bus.setChannels(["a"]);
    bus.start();
    await network.pass();
    let id = 10;
    for (let seconds = 0; seconds < 4; ++seconds) {
      assert.equal(network.request.body.params.confirm, 1);
      network.request.result(row(++id, 1));
      await network.pass(1_000);
      assert.deepEqual([told.confirmed.length, told.ids.length], [0, seconds + 1]);
    }
    if (confirms) {
      network.request.result({ type: "bus/subscribed", internal: true, payload: { confirm: 1, last: id } });
      await network.pass();
    } else {
      // Notifications keep coming: this does not put off what is believed after a while.
      network.request.result(row(++id, 1));
      await network.pass(1_500);
      network.request.result(row(++id, 1));
      await network.pass();
    }
    assert.deepEqual(told.confirmed, [[1, { refused: [], error: undefined }]]);
    assert.equal(network.request.body.params.confirm, undefined);
    bus.stop();
  }
});

test("a server that is away is not a transport that is blocked", async () => {
  for (const away of [(request) => request.fail(), (request) => request.answer(502)]) {
    const { network, bus } = connection();
    bus.start();
    await network.pass();
    network.socket.drop();
    await network.pass();
    away(network.request);
    await network.pass();
    assert.equal(network.requests.length, 1);
    assert.equal(bus.state, "waiting");
    await network.pass(2_500);
    assert.equal(network.sockets.length, 2);
  }
});

test("other channels are another stream, from where this one was", async () => {
  const { network, bus } = connection(["events"]);
  bus.setChannels(["a"]);
  bus.start();
  await network.pass();
  network.request.stream();
  network.request.confirm(4);
  await network.pass();
  bus.setChannels(["a", "b"]);
  await network.pass(300);
  assert.equal(network.requests.length, 2);
  assert.ok(network.requests[0].signal.aborted);
  assert.deepEqual(network.request.body, { channels: ["a", "b"], last: 4, name_channels: true, check_outdated: true, confirm: 2 });
  assert.equal(bus.state, "connected");
});

test("a refused token is an expired session, whatever the transport", async () => {
  for (const transports of [["events"], ["polling"]]) {
    const { network, bus, names } = connection(transports);
    bus.start();
    await network.pass();
    network.request.answer(401);
    await network.pass();
    assert.ok(names().includes("expired"));
    assert.equal(bus.state, "waiting");
  }
});

test("refused channels are told, and are no blocked transport", async () => {
  for (const [transports, refuse] of [
    [["events", "polling"], (request) => request.answer(403, "", { "Odoo-Bus": "refused" })],
    [["polling"], (request) => request.answer(200, { jsonrpc: "2.0", id: 1, error: { code: 200, message: "refused" } })],
  ]) {
    const { network, bus, told } = connection(transports);
    bus.setChannels(["x"]);
    bus.start();
    await network.pass();
    refuse(network.request);
    await network.pass();
    assert.deepEqual(told.confirmed, [[1, { refused: [], error: "refused" }]]);
    assert.equal(network.requests.length, 1);
    assert.equal(bus.state, "waiting");
  }
});

test("a token goes where it is not logged", async () => {
  const network = new FakeNetwork();
  const quiet = { event() {}, batch() {}, confirmed() {} };
  const bus = new Connection(network.environment, { base: BASE, transports: ["websocket", "events"], token: async () => "a.b.c" }, quiet);
  bus.start();
  await network.pass();
  assert.deepEqual(network.socket.protocols, ["odoo-bus", "odoo-bus.token.a.b.c"]);
  assert.ok(!network.socket.url.includes("a.b.c"));
  network.socket.drop();
  await network.pass();
  assert.equal(network.request.headers.Authorization, "Bearer a.b.c");
});

// --- tabs ---

function tab(hub, channels, last = 0) {
  const messages = [];
  const port = { postMessage: (message) => messages.push(message) };
  hub.attach(port);
  const say = (message) => port.onmessage({ data: message });
  say({ type: "join", channels, last, base: BASE, transports: ["websocket"], lock: null, hasToken: false });
  return {
    say,
    messages,
    ids: () => messages.filter(({ type }) => type === "batch").flatMap(({ notifications }) => notifications.map(({ id }) => id)),
    last: () => messages.filter((message) => "last" in message).at(-1)?.last,
  };
}

test("tabs share one connection, and each is given its own, once", async () => {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  const one = tab(hub, ["a"]);
  const two = tab(hub, ["a", "b"]);
  await network.pass();
  network.socket.accept();
  network.socket.confirm(1);
  assert.equal(network.sockets.length, 1);
  assert.deepEqual(network.socket.subscribes[0].channels, ["a", "b"]);
  network.socket.frame(row(1, 1, "a"), row(2, 2, "b"), row(3, 3, "broadcast"));
  assert.deepEqual(one.ids(), [1, 3]);
  assert.deepEqual(two.ids(), [1, 2, 3]);
  assert.deepEqual(two.messages.find(({ type }) => type === "subscribed").channels, ["a", "b"]);
  two.say({ type: "leave" });
  await network.pass(300);
  assert.deepEqual(network.socket.subscribes.at(-1).channels, ["a"]);
  one.say({ type: "leave" });
  assert.equal(network.socket.closedWith, 1000);
});

test("what was refused is told to every tab that names it", async () => {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  const told = ({ messages }) => messages.filter(({ type }) => type === "subscribed").map(({ channels, refused }) => [channels, refused]);
  const one = tab(hub, ["a", "secret"]);
  await network.pass();
  network.socket.accept();
  network.socket.confirm(1, { refused: ["secret"] });
  assert.deepEqual(told(one), [[["a"], ["secret"]]]);
  const two = tab(hub, ["secret"]);
  assert.deepEqual(told(two), [[[], ["secret"]]]);
  network.socket.drop(4001);
  await network.pass(2_500);
  network.socket.accept();
  network.socket.confirm(1);
  assert.deepEqual(told(two).at(-1), [["secret"], []]);
  assert.deepEqual(told(one).at(-1), [["a", "secret"], []]);
});

test("a tab that is reloaded catches up without anyone getting anything twice", async () => {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  const one = tab(hub, ["a"]);
  await network.pass();
  network.socket.accept();
  network.socket.frame(row(1, 1), row(2, 2), row(3, 3));
  const two = tab(hub, ["a"], 1);
  await network.pass();
  assert.equal(network.request.path, "/longpolling/poll");
  assert.equal(network.request.body.params.last, 1);
  network.socket.frame(row(4, 4));
  network.request.result(row(2, 2), row(3, 3), row(4, 4), row(5, 5));
  await network.pass();
  network.request.result({ type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 5 } });
  await network.pass();
  network.socket.frame(row(5, 5), row(6, 6));
  assert.deepEqual(one.ids(), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(two.ids(), [2, 3, 4, 5, 6]);
});

test("a tab that reads nothing is not waited for, and catches up", async () => {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  const frozen = tab(hub, ["a"]);
  await network.pass();
  network.socket.accept();
  for (let id = 1; id <= 1_000; ++id) {
    network.socket.frame(row(id, id));
  }
  const posted = frozen.ids();
  assert.equal(posted.length, 257);
  frozen.say({ type: "read", n: 257, last: 257 });
  await network.pass();
  assert.equal(network.request.body.params.last, 257);
  network.request.result(row(258, 258), { type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 1_000 } });
  await network.pass();
  assert.equal(frozen.ids().length, 258);
});

// A second tab, which comes back from position 1 to a connection that is at 3.
async function returning() {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  tab(hub, ["a"]);
  await network.pass();
  network.socket.accept();
  const { socket } = network;
  const send = socket.send.bind(socket);
  socket.send = (data) => {
    send(data);
    if (socket.sent.at(-1).event_name === "bus/ping") {
      queueMicrotask(() => socket.frame({ type: "bus/pong", internal: true, payload: {} }));
    }
  };
  socket.confirm(1);
  socket.frame(row(1, 1), row(2, 2), row(3, 3));
  const back = tab(hub, ["a"], 1);
  await network.pass();
  const outdated = () => back.messages.filter(({ type, name }) => type === "event" && name === "outdated").length;
  return { network, hub, back, outdated };
}

const refusal = (code) => ({ jsonrpc: "2.0", id: 1, error: { code, message: "no" } });

test("a tab that cannot catch up is told, and goes on from now", async () => {
  for (const [status, body] of [[403, ""], [404, ""], [405, ""], [400, ""], [200, refusal(200)], [200, { result: 1 }]]) {
    const { network, back, outdated } = await returning();
    network.socket.frame(row(4, 4));
    network.request.answer(status, body);
    await network.pass();
    network.socket.frame(row(5, 5));
    const what = `${status} ${JSON.stringify(body)}`;
    assert.equal(outdated(), 1, what);
    assert.deepEqual(back.ids(), [4, 5], what);
    await network.pass(600_000);
    assert.equal(network.requests.length, 1, what);
  }
});

test("a tab that is not answered asks again, but not for ever", async () => {
  const refusals = [[401, refusal(100)], [200, refusal(100)], [429, ""], [503, ""], [200, "<html>"]];
  for (const [status, body] of refusals) {
    const { network, back, outdated } = await returning();
    network.request.answer(status, body);
    network.socket.frame(row(4, 4));
    await network.pass(3_000);
    network.request.result(row(2, 2), row(3, 3), row(4, 4), { type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 4 } });
    await network.pass();
    assert.deepEqual([outdated(), ...back.ids()], [0, 2, 3, 4]);
  }
  for (const [status, body] of refusals) {
    const { network, back, outdated } = await returning();
    for (let tries = 1; tries <= 10; ++tries) {
      assert.deepEqual([outdated(), network.requests.length], [0, tries]);
      network.request.answer(status, body);
      await network.pass(60_000);
    }
    network.socket.frame(row(4, 4));
    assert.deepEqual([outdated(), network.requests.length, ...back.ids()], [1, 10, 4]);
  }
  const { network, outdated } = await returning();
  await network.pass(900_000); // not a word
  assert.deepEqual([outdated(), network.requests.length], [1, 10]);
});

test("a server that is away for everybody is waited for", async () => {
  const { network, back, outdated } = await returning();
  network.socket.drop();
  for (let tries = 1; tries <= 20; ++tries) {
    assert.equal(network.requests.length, tries);
    network.request.fail();
    await network.pass(61_000);
  }
  network.request.result(row(2, 2), { type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 3 } });
  await network.pass();
  assert.deepEqual([outdated(), ...back.ids()], [0, 2]);
});

test("what a tab is not given while it catches up is bounded, and asked for once more", async () => {
  const { network, hub, back, outdated } = await returning();
  const rows = (first, count) => Array.from({ length: count }, (_, i) => row(first + i, 0));
  network.socket.frame(...rows(4, 10_001));
  network.socket.frame(row(10_005, 5));
  assert.deepEqual([...hub.tabs].map(({ held }) => held?.length), [undefined, 1]);
  const position = (last) => ({ type: "bus/subscribed", internal: true, payload: { confirm: 1, last } });
  network.request.result(row(2, 2), row(3, 3), position(3));
  await network.pass();
  assert.equal(network.requests.length, 2);
  assert.equal(network.request.body.params.last, 3);
  network.request.result(...rows(4, 10_001), row(10_005, 5), position(10_005));
  await network.pass();
  assert.deepEqual(back.ids(), Array.from({ length: 10_004 }, (_, i) => i + 2));
  assert.equal(outdated(), 0);
});

test("a quiet tab hears where the connection is", async () => {
  const network = new FakeNetwork();
  const hub = new Hub(network.environment);
  const quiet = tab(hub, ["b"]);
  tab(hub, ["a"]);
  await network.pass();
  network.socket.accept();
  network.socket.frame(row(7, 7));
  await network.pass(1_500);
  assert.deepEqual(quiet.ids(), []);
  assert.equal(quiet.last(), 7);
});

// --- what a page uses ---

async function service(options = {}) {
  const network = new FakeNetwork();
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  const environment = { ...network.environment, storage };
  const bus = new BusService({ url: BASE, environment, ...options });
  const again = () => new BusService({ url: BASE, environment, ...options });
  const open = async (last) => {
    await network.pass();
    network.socket.accept();
    network.socket.confirm(last);
    await network.pass();
  };
  return { network, bus, open, again, kept };
}

test("the interface of Odoo's bus_service", async () => {
  const { network, bus, open } = await service();
  const seen = [];
  const remember = ({ detail }) => seen.push(...detail);
  bus.addEventListener("notification", remember);
  const typed = [];
  const callback = (payload, meta) => typed.push([payload, meta]);
  bus.subscribe("t", callback);
  bus.addChannel("a");
  await open(1);
  assert.equal(bus.state, "connected");
  assert.equal(bus.transport, "websocket");
  bus.send("update_presence", { inactivity_period: 0 });
  await network.pass();
  assert.deepEqual(network.socket.sent.at(-1), { event_name: "update_presence", data: { inactivity_period: 0 } });
  network.socket.frame(row(2, { x: 1 }));
  await network.pass();
  assert.deepEqual(seen, [{ id: 2, type: "t", payload: { x: 1 }, channel: "a" }]);
  assert.deepEqual(typed, [[{ x: 1 }, { id: 2, channel: "a" }]]);
  bus.unsubscribe("t", callback);
  bus.removeEventListener("notification", remember);
  network.socket.frame(row(3, 3));
  await network.pass();
  assert.equal(seen.length + typed.length, 2);
  bus.deleteChannel("a");
  await network.pass(300);
  assert.deepEqual(network.socket.subscribes.at(-1).channels, []);
  bus.stop();
  await network.pass();
  assert.equal(network.socket.closedWith, 1000);
  assert.equal(bus.isActive, false);
});

// What a page hears of these events, each as [name, detail].
function heard(bus, ...names) {
  const events = [];
  for (const name of names) {
    bus.addEventListener(name, ({ detail }) => events.push([name, detail]));
  }
  return events;
}

test("a page hears that it is connected, not any more, again, and outdated", async () => {
  const { network, bus, open } = await service();
  const events = heard(bus, "connect", "disconnect", "reconnecting", "reconnect", "outdated", "expired");
  bus.addChannel("a");
  await open(1);
  assert.deepEqual(events.splice(0), [["connect", { transport: "websocket" }]]);
  network.socket.drop(1006, "gone");
  await network.pass(2_500);
  await open(1);
  assert.deepEqual(events.splice(0), [
    ["disconnect", { code: 1006, reason: "gone" }],
    ["reconnecting", { delay: 2_000, code: 1006, reason: "gone" }],
    ["reconnect", { transport: "websocket" }],
  ]);
  network.socket.frame({ type: "bus/subscription_outdated", internal: true, payload: null });
  await network.pass();
  assert.deepEqual(events.splice(0), [["outdated", { reason: "notifications were missed" }]]);
  network.socket.drop(1000, "OUTDATED_VERSION");
  await network.pass();
  assert.deepEqual(events.map(([name]) => name), ["disconnect", "outdated"]);
  bus.stop();

  // A page that comes to a connection which is there already is told so, too.
  const network2 = new FakeNetwork();
  const hub = new Hub(network2.environment);
  tab(hub, ["a"]);
  await network2.pass();
  network2.socket.accept();
  const SharedWorker = workers(network2, hub);
  const late = new BusService({ url: BASE, environment: { ...network2.environment, SharedWorker } });
  const told = heard(late, "connect");
  late.addChannel("a");
  await network2.pass();
  assert.deepEqual(told, [["connect", { transport: "websocket" }]]);
  late.stop();
});

test("a page that loads itself anew when it is outdated does so once", async () => {
  for (const told of [{ type: "bus/subscription_outdated", payload: null }, { type: "bus/last_id_reset", payload: 3 }]) {
    const { network, bus, open, again, kept } = await service();
    bus.addChannel("a");
    await open(8);
    network.socket.frame(row(9, 9));
    await network.pass();
    bus.stop();
    const page = again();
    const events = heard(page, "outdated");
    page.addChannel("a");
    await network.pass();
    network.socket.accept();
    assert.equal(network.socket.subscribes[0].last, 9);
    network.socket.frame({ internal: true, ...told });
    await network.pass();
    assert.deepEqual([events.length, kept.size], [1, 0]);
    // It is loaded anew at once, as if for the first time: nothing is there of which it could be told.
    page.stop();
    const anew = again();
    anew.addChannel("a");
    await network.pass();
    network.socket.accept();
    assert.deepEqual(network.socket.subscribes[0], { channels: ["a"], last: 0, name_channels: true, check_outdated: false, confirm: 1 });
    // A page that stays is told where it is, and comes back from there.
    network.socket.frame({ internal: true, ...told });
    network.socket.confirm(12);
    await network.pass(1_500);
    assert.equal(again().last, 12);
    anew.stop();
  }
});

test("offline before anything is there is offline until it is told otherwise", async () => {
  for (const SharedWorker of [undefined, "worker"]) {
    const network = new FakeNetwork();
    const environment = { ...network.environment, SharedWorker: SharedWorker && workers(network) };
    for (const early of [(bus) => bus.setOffline(true), (bus) => (bus.start(), bus.setOffline(true))]) {
      const before = network.sockets.length;
      const bus = new BusService({ url: BASE, environment });
      early(bus);
      bus.addChannel("a");
      await network.pass(600_000);
      assert.deepEqual([bus.state, network.sockets.length], ["offline", before]);
      bus.setOffline(false);
      await network.pass(1_000);
      network.socket.accept();
      await network.pass();
      assert.equal(bus.state, "connected");
      bus.stop();
      await network.pass();
    }
  }
});

test("a page that is resumed, or seen again, looks whether its connection is there", async () => {
  const network = new FakeNetwork();
  const page = Object.assign(new EventTarget(), { document: Object.assign(new EventTarget(), { hidden: false }) });
  const bus = new BusService({ url: BASE, environment: { ...network.environment, page } });
  bus.addChannel("a");
  await network.pass();
  network.socket.accept();
  network.socket.confirm(1);
  await network.pass();
  const pings = () => network.socket.sent.filter(({ event_name }) => event_name === "bus/ping").length;
  const says = async (name, hidden) => {
    page.document.hidden = hidden;
    page.document.dispatchEvent(new Event(name));
    await network.pass();
    network.socket.frame({ type: "bus/pong", internal: true, payload: {} });
    await network.pass();
    return pings();
  };
  assert.equal(await says("visibilitychange", true), 0);
  assert.equal(await says("visibilitychange", false), 1);
  assert.equal(await says("resume", false), 2);
  // Nobody answers: another connection, long before it would have been missed.
  page.document.dispatchEvent(new Event("resume"));
  await network.pass(13_000);
  assert.equal(network.sockets.length, 2);
  bus.stop();
});

test("a signal gives up what is still waited for, and the last one the channel", async () => {
  const { network, bus } = await service();
  const [one, two] = [new AbortController(), new AbortController()];
  const first = bus.addChannel("a", { signal: one.signal });
  const second = bus.addChannel("a", { signal: two.signal });
  bus.addChannel("b");
  await network.pass();
  network.socket.accept();
  await network.pass();
  one.abort(new Error("not any more"));
  await assert.rejects(first, /not any more/);
  assert.deepEqual(bus.channels, ["a", "b"]);
  network.socket.confirm(1);
  assert.deepEqual(await second, { channel: "a" });
  two.abort();
  assert.deepEqual(bus.channels, ["b"]);
  await network.pass(300);
  assert.deepEqual(network.socket.subscribes.at(-1).channels, ["b"]);
  bus.stop();
});

test("a promise says when a channel is subscribed, and that it is refused", async () => {
  const { network, bus } = await service();
  let subscribed = false;
  const first = bus.addChannel("a").then((how) => (subscribed = how));
  await network.pass();
  network.socket.accept();
  await network.pass();
  assert.equal(subscribed, false);
  network.socket.confirm(1);
  await first;
  assert.deepEqual(subscribed, { channel: "a" });
  assert.deepEqual(await bus.addChannel("a"), { channel: "a" }); // it is already
  const refused = bus.addChannel("secret");
  await network.pass(300);
  network.socket.confirm(1, { refused: ["secret"] });
  await assert.rejects(refused, /refused/);
  const deleted = bus.addChannel("b");
  bus.deleteChannel("b");
  await assert.rejects(deleted, { name: "AbortError" });
});

test("a channel that was given up and is added again is subscribed when the server says so again", async () => {
  const { network, bus, open } = await service();
  bus.addChannel("a");
  bus.addChannel("b");
  await open(1);
  let subscribed = 0;
  const add = () => bus.addChannel("a").then(() => (subscribed += 1));
  bus.deleteChannel("a");
  await network.pass(300);
  assert.deepEqual(network.socket.subscribes.at(-1).channels, ["b"]);
  add();
  await network.pass(0);
  assert.equal(subscribed, 0, "the server does not know it yet");
  network.socket.confirm(1); // that "a" is gone
  await network.pass(300);
  assert.equal(subscribed, 0, "this was without it");
  network.socket.confirm(1);
  await network.pass();
  assert.equal(subscribed, 1);

  // The confirmation of what was wanted before it was given up comes late.
  bus.forceUpdateChannels();
  await network.pass(300);
  const late = { type: "bus/subscribed", internal: true, payload: { confirm: network.socket.subscribes.at(-1).confirm, last: 1 } };
  bus.deleteChannel("a");
  await network.pass(300);
  add();
  await network.pass();
  network.socket.frame(late);
  await network.pass(300);
  assert.equal(subscribed, 1, "it was given up since");
  network.socket.confirm(1);
  await network.pass();
  assert.equal(subscribed, 2);
});

test("a channel that was refused is refused again, until the server grants it", async () => {
  const { network, bus, open } = await service();
  bus.addChannel("a");
  await open(1);
  const refused = bus.addChannel("secret");
  await network.pass(300);
  network.socket.confirm(1, { refused: ["secret"] });
  await assert.rejects(refused, /refused/);
  await assert.rejects(bus.addChannel("secret"), /refused/);
  assert.deepEqual(await bus.addChannel("a"), { channel: "a" });
  await network.pass(300);
  assert.equal(network.socket.subscribes.length, 2, "it was not asked again");

  // It is asked anew: its answer is waited for.
  bus.forceUpdateChannels();
  let granted = null;
  bus.addChannel("secret").then((how) => (granted = how), (error) => (granted = error));
  await network.pass(300);
  assert.equal(granted, null);
  network.socket.confirm(1, { refused: ["secret"] });
  await network.pass();
  assert.match(granted.message, /refused/);

  // So it is while the connection is away, and the same subscription is answered otherwise on the next one.
  network.socket.drop(4001);
  bus.addChannel("secret").then((how) => (granted = how));
  await network.pass(2_500);
  network.socket.accept();
  network.socket.confirm(1);
  await network.pass();
  assert.deepEqual(granted, { channel: "secret" });
  assert.deepEqual(await bus.addChannel("secret"), { channel: "secret" });
});

test("a subscription that is refused leaves the former one in force, if there was one on this connection", async () => {
  const { network, bus, open } = await service();
  bus.addChannel("a");
  await open(1);
  const refused = bus.addChannel("x");
  await network.pass(300);
  network.socket.confirm(1, { error: "refused" });
  await assert.rejects(refused, /refused/);
  assert.deepEqual(await bus.addChannel("a"), { channel: "a" });
  network.socket.drop();
  await network.pass(2_500);
  network.socket.accept();
  network.socket.confirm(1, { error: "refused" });
  await assert.rejects(bus.addChannel("a"), /refused/);
});

test("a poll that is refused comes again, and may be granted", async () => {
  const { network, bus } = await service({ transports: ["polling"] });
  const refused = bus.addChannel("x");
  await network.pass();
  network.request.answer(200, refusal(200));
  await assert.rejects(refused, /refused/);
  await assert.rejects(bus.addChannel("x"), /refused/);
  await network.pass(2_500);
  network.request.result({ type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 1 } });
  await network.pass();
  assert.deepEqual(await bus.addChannel("x"), { channel: "x" });
  bus.stop();
});

test("a refusal from before a channel was given up and added again counts for nothing", async () => {
  const { network, bus } = await service();
  const first = bus.addChannel("x");
  await network.pass();
  network.socket.accept();
  const late = { type: "bus/subscribed", internal: true, payload: { confirm: 1, last: 1, refused: ["x"] } };
  bus.deleteChannel("x");
  await assert.rejects(first, { name: "AbortError" });
  await network.pass();
  const again = bus.addChannel("x");
  await network.pass();
  network.socket.frame(late);
  await network.pass(300);
  network.socket.confirm(1);
  assert.deepEqual(await again, { channel: "x" });
});

test("callbacks of a channel, until their signal says otherwise", async () => {
  const { network, bus, open } = await service();
  const got = { first: [], second: [] };
  const abort = new AbortController();
  bus.addChannel("a", { callback: ({ id }) => got.first.push(id), signal: abort.signal });
  bus.addChannel("a", ({ id }) => got.second.push(id));
  bus.addChannel("b");
  await open(1);
  network.socket.frame(row(2, 2, "a"), row(3, 3, "b"));
  await network.pass();
  abort.abort();
  network.socket.frame(row(4, 4, "a"));
  await network.pass();
  assert.deepEqual(got, { first: [2], second: [2, 4] });
  assert.deepEqual(bus.channels, ["a", "b"]);
  await assert.rejects(bus.addChannel("c", { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a callback that throws takes nothing away from the others", async (context) => {
  const complain = context.mock.method(console, "error", () => {});
  const { network, bus, open } = await service();
  const seen = [];
  bus.addChannel("a", () => {
    throw new Error("mine");
  });
  bus.addChannel("a", ({ id }) => seen.push(id));
  await open(1);
  network.socket.frame(row(2, 2));
  await network.pass();
  assert.deepEqual(seen, [2]);
  assert.equal(complain.mock.callCount(), 1);
});

test("a page that is reloaded goes on from where it was", async () => {
  const { network, bus, open, again } = await service();
  bus.addChannel("a");
  await open(1);
  network.socket.frame(row(8, 8));
  await network.pass();
  bus.stop();
  const reloaded = again();
  reloaded.addChannel("a");
  await network.pass();
  network.socket.accept();
  assert.equal(network.socket.subscribes[0].last, 8);
  assert.equal(reloaded.last, 8);
});

test("start after stop goes on with the same channels", async () => {
  const { network, bus, open } = await service();
  bus.addChannel("a");
  await open(1);
  bus.stop();
  await network.pass();
  bus.start();
  await network.pass();
  network.socket.accept();
  assert.deepEqual(network.socket.subscribes[0].channels, ["a"]);
  assert.equal(network.socket.subscribes[0].last, 1);
});

test("a page's token is asked for at each attempt", async () => {
  let number = 0;
  const { network, bus } = await service({ token: async () => `token${++number}` });
  bus.addChannel("a");
  await network.pass();
  assert.deepEqual(network.socket.protocols, ["odoo-bus", "odoo-bus.token.token1"]);
  network.socket.accept();
  network.socket.drop(4001);
  await network.pass(2_500);
  assert.deepEqual(network.socket.protocols, ["odoo-bus", "odoo-bus.token.token2"]);
});

// Workers, each with a hub of its own unless there is one, to which what a page posts comes a moment later.
function workers(network, hub = null) {
  return class {
    constructor() {
      const end = () => ({ onmessage: null, close() {} });
      const [its, mine] = [(this.port = end()), end()];
      its.postMessage = (data) => queueMicrotask(() => mine.onmessage({ data: structuredClone(data) }));
      mine.postMessage = (data) => queueMicrotask(() => its.onmessage?.({ data: structuredClone(data) }));
      (hub ?? new Hub(network.environment)).attach(mine);
    }
  };
}

test("an event that is sent before anything is there arrives", async () => {
  const slow = { request: (name, hold) => new Promise((resolve) => setImmediate(() => resolve(hold()))) };
  for (const locks of [undefined, slow]) {
    const network = new FakeNetwork();
    const bus = new BusService({ url: BASE, environment: { ...network.environment, SharedWorker: workers(network), locks } });
    bus.send("before", 0);
    bus.start();
    const data = { n: 1 };
    bus.send("started", data);
    data.n = 2; // of another event
    await network.pass();
    bus.send("connecting", 3);
    await network.pass();
    network.socket.accept();
    await network.pass();
    const events = () => network.socket.sent.filter(({ event_name }) => event_name !== "subscribe").map(({ event_name, data }) => [event_name, data]);
    assert.deepEqual(events(), [["before", 0], ["started", { n: 1 }], ["connecting", 3]]);

    bus.stop();
    await network.pass();
    for (let n = 0; n < 40; ++n) {
      bus.send("stopped", n);
    }
    bus.start();
    await network.pass();
    network.socket.accept();
    await network.pass();
    assert.deepEqual(events(), Array.from({ length: 32 }, (_, n) => ["stopped", n + 8]));
    assert.throws(() => bus.send("no data", () => {}), { name: "DataCloneError" });
    bus.stop();
  }
});

test("an event that a silent worker was to send goes without it", async () => {
  const network = new FakeNetwork();
  const silent = class {
    port = { postMessage() {}, close() {} };
  };
  const bus = new BusService({ url: BASE, environment: { ...network.environment, SharedWorker: silent } });
  bus.start();
  await network.pass();
  bus.send("mine", 1);
  await network.pass(5_000);
  network.socket.accept();
  await network.pass();
  assert.deepEqual(network.socket.sent[0], { event_name: "mine", data: 1 });
  bus.stop();
});

test("where no worker can be had the page connects by itself", async () => {
  const network = new FakeNetwork();
  const broken = class {
    constructor() {
      throw new DOMException("no workers here", "SecurityError");
    }
  };
  const silent = class {
    constructor() {
      this.port = { postMessage() {}, close() {} };
    }
  };
  for (const SharedWorker of [broken, silent]) {
    const bus = new BusService({ url: BASE, environment: { ...network.environment, SharedWorker } });
    const before = network.sockets.length;
    bus.addChannel("a");
    await network.pass(5_000);
    assert.equal(network.sockets.length, before + 1);
    network.socket.accept();
    await network.pass();
    assert.equal(bus.state, "connected");
    bus.stop();
  }
});
