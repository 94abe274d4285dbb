// Which scripts a SharedWorker is made of, and what happens where none can be.
import assert from "node:assert/strict";
import { test } from "node:test";

import { BusService, VERSION } from "../../client/bus_service.js";
import { FakeNetwork } from "./fake_network.mjs";

const OWN = "https://example.test/bus/bus_service.js"; // the gateway's, at the page's origin

// A network, and workers that are as `behave(worker)` makes them: each has a port that keeps what is posted.
function setUp(behave = () => {}) {
  const network = new FakeNetwork();
  const made = [];
  network.environment.SharedWorker = class {
    constructor(script) {
      const posted = [];
      const port = { isOpen: true, postMessage: (data) => posted.push(data), close: () => (port.isOpen = false) };
      Object.assign(this, { posted, port });
      made.push(String(script));
      port.hello = (version) => port.onmessage({ data: { type: "hello", version } });
      behave(this);
    }
  };
  const service = (options) => new BusService({ url: "https://example.test/", environment: network.environment, ...options });
  return { network, made, service };
}

test("the gateway's script is used where it is of the page's origin", async () => {
  const { network, made, service } = setUp();
  service({ url: "https://example.test/sub/", share: "ann" }).start();
  service({ url: "https://other.test/" }).start();
  service({ worker: false }).start();
  assert.deepEqual(made, ["https://example.test/sub/bus/bus_service.js"]);
  await network.pass();
  assert.equal(network.sockets.length, 2, "the others connect by themselves");
});

test("no other script is used than that which is passed", async () => {
  const { network, made, service } = setUp((worker) => queueMicrotask(() => worker.onerror()));
  service({ workerUrl: "/static/worker.js" }).start();
  await network.pass();
  assert.deepEqual([made, network.sockets.length], [["/static/worker.js"], 1]);
});

test("a worker is not used that fails, is silent, or is of another version; it is told so, and let go", async () => {
  const released = [];
  const locks = { request: async (name, hold) => { await hold(); released.push(name); } };
  const ways = {
    fails: (worker) => setImmediate(() => worker.onerror()),
    silent: () => {},
    other: (worker) => setImmediate(() => worker.port.hello(`${VERSION}1`)),
  };
  for (const [name, way] of Object.entries(ways)) {
    const workers = [];
    const { network, service } = setUp((worker) => (workers.push(worker), way(worker)));
    network.environment.locks = locks;
    released.length = 0;
    const bus = service();
    bus.send("kept", name);
    bus.start();
    await network.pass(name === "silent" ? 5_000 : 100);
    const [worker] = workers;
    assert.deepEqual([workers.length, worker.posted.map(({ type }) => type), worker.port.isOpen], [1, ["join", "leave"], false]);
    assert.deepEqual(released, [worker.posted[0].lock]);
    network.socket.accept();
    await network.pass();
    assert.deepEqual(network.socket.sent[0], { event_name: "kept", data: name });
    assert.equal(bus.state, "connected");
    bus.stop();
  }
});

test("a worker that has said hello is kept, whatever errors it has", async () => {
  const workers = [];
  const { network, service } = setUp((worker) => workers.push(worker));
  service().start();
  await network.pass();
  workers[0].port.hello(VERSION);
  workers[0].onerror();
  await network.pass(60_000);
  assert.deepEqual([workers.length, network.sockets.length, workers[0].posted.map(({ type }) => type)], [1, 0, ["join"]]);
});

test("a page is told once that its tabs do not share a connection", async () => {
  const told = [];
  const { warn } = console;
  console.warn = (text) => told.push(text);
  try {
    const page = Object.assign(new EventTarget(), { document: new EventTarget() });
    for (const [change, why] of [
      [{}, `no worker was started from ${OWN}: serve bus_service.js from this origin`],
      [{ SharedWorker: undefined }, "this browser has no SharedWorker"],
      [{ location: new URL("https://other.test/") }, "this origin has no script for a worker: serve bus_service.js"],
    ]) {
      const { BusService: Fresh } = await import(`../../client/bus_service.js?${encodeURIComponent(why)}`);
      const { network } = setUp((worker) => queueMicrotask(() => worker.onerror()));
      const environment = { ...network.environment, page, ...change };
      const open = (options) => new Fresh({ url: "https://example.test/", environment, ...options }).start();
      open({ worker: false });
      await network.pass();
      assert.deepEqual(told, [], "it is wanted so");
      open();
      open({ share: "ann" });
      await network.pass();
      assert.equal(told.length, 1);
      assert.ok(told.pop().startsWith(`odoo_bus: each tab has a connection of its own, since ${why}`));
      assert.equal(network.sockets.length, 3);
    }
  } finally {
    console.warn = warn;
  }
});

test("it becomes a worker only where a BusService has made one", async () => {
  Object.assign(globalThis, { SharedWorkerGlobalScope: Object, addEventListener() {} });
  try {
    for (const [name, isOne] of [["of the application", false], [`odoo_bus ${VERSION} https://example.test/ `, true]]) {
      globalThis.name = name;
      await import(`../../client/bus_service.js?worker=${isOne}`);
      assert.equal("onconnect" in globalThis, isOne);
    }
  } finally {
    for (const name of ["SharedWorkerGlobalScope", "addEventListener", "name", "onconnect"]) {
      delete globalThis[name];
    }
  }
});
