import { MAX_QUEUED_EVENTS } from "./connection.js";
import { defaultEnvironment } from "./environment.js";
import { Hub, VERSION } from "./hub.js";
import { localPorts } from "./local_ports.js";
import { StoredPosition } from "./stored_position.js";
import { later } from "./timers.js";
import { TRANSPORTS } from "./transport.js";
import { workerName, workerScripts } from "./worker.js";

export { Connection } from "./connection.js";
export { EventStreamParser } from "./event_stream.js";
export { Hub, TRANSPORTS, VERSION };

const HELLO_WITHIN = 5_000; // of a worker; then it is done without

let isTold = false; // that tabs do not share a connection

const asDirectory = (url) => (url.endsWith("/") ? url : `${url}/`);

// The interface for pages. It talks to a hub through a port: in the SharedWorker, or in this page.
export class BusService extends EventTarget {
  #environment;
  #settings;
  #port = null;
  #hub = null; // in this page, when there is no worker
  #channels = new Map(); // name -> its registrations
  #types = new Map(); // type -> callbacks
  #last = 0;
  #dirty = false;
  #release = null; // of the lock
  #lockNumber = 0;
  #awaited = null; // the worker that has not said hello yet: {cancel, abandon}
  #isJoined = false;
  #outbox = []; // events for the server, until the hub has said hello
  #paused = false;
  #isOffline = false; // by setOffline()

  state = "stopped";
  transport = null;

  constructor({ url, transports = TRANSPORTS, worker = true, workerUrl, share = "", token = null, last = 0, environment } = {}) {
    super();
    this.#environment = { ...defaultEnvironment(), ...environment };
    const base = asDirectory(new URL(url ?? "/", globalThis.location?.href ?? "http://127.0.0.1/").href);
    this.#settings = { base, transports: [...transports], worker, workerUrl, share, token };
    this.#position = new StoredPosition(this.#environment.storage, `odoo_bus.last ${base} ${share}`);
    this.#last = Math.max(this.#position.get(), last);
    this.#watchPage();
  }

  #position;

  get last() {
    return this.#last;
  }

  get isActive() {
    return this.#port !== null;
  }

  get channels() {
    return [...this.#channels.keys()];
  }

  start() {
    if (!this.#port) {
      this.#open();
    }
  }

  // The channels are kept for the next start().
  stop() {
    if (this.#port) {
      this.#leave();
      this.#setState("stopped", null);
      this.dispatchEvent(new CustomEvent("disconnect", { detail: { code: 1000, reason: "stopped" } }));
    }
  }

  // Resolves when everything that is committed from then on will arrive. Rejects when the channel is refused or deleted, or
  // its signal is aborted.
  addChannel(name, options = {}) {
    const { callback, signal } = typeof options === "function" ? { callback: options } : options;
    if (typeof name !== "string" || name === "") {
      throw new TypeError("a channel's name is a string that is not empty");
    }
    if (signal?.aborted) {
      return Promise.reject(signal.reason);
    }
    const registration = { callback, settle: null };
    const subscribed = new Promise((resolve, reject) => (registration.settle = { resolve, reject }));
    subscribed.catch(() => {}); // the page need not wait for it
    if (!this.#channels.has(name)) {
      this.#channels.set(name, new Set());
    }
    this.#channels.get(name).add(registration);
    signal?.addEventListener("abort", () => this.#remove(name, registration, signal.reason), { once: true });
    this.start();
    this.#channelsChanged();
    return subscribed;
  }

  deleteChannel(name) {
    for (const registration of this.#channels.get(name) ?? []) {
      this.#remove(name, registration, new DOMException("the channel was deleted", "AbortError"));
    }
  }

  // Calls back with the payload of each notification of this type, and {id, channel}.
  subscribe(type, callback) {
    if (!this.#types.has(type)) {
      this.#types.set(type, new Set());
    }
    this.#types.get(type).add(callback);
  }

  unsubscribe(type, callback) {
    this.#types.get(type)?.delete(callback);
  }

  // Sends the server an event, which a module of Odoo may handle, over a WebSocket. Until there is one the newest are kept.
  send(name, data) {
    this.#outbox.push({ type: "send", name, data: structuredClone(data) }); // the page may change it
    this.#outbox.splice(0, this.#outbox.length - MAX_QUEUED_EVENTS);
    this.#sendWaiting();
  }

  // Sends the same channels again, so that the server resolves them for this user again.
  forceUpdateChannels() {
    this.#post({ type: "channels", channels: this.channels, again: true });
  }

  // Which transports may be used, best first. All tabs of the connection follow.
  useTransports(transports) {
    this.#settings.transports = [...transports];
    this.#post({ type: "transports", transports: this.#settings.transports });
  }

  // Simulates that the network is lost, or restored.
  setOffline(offline) {
    this.#isOffline = offline;
    this.#post({ type: offline ? "offline" : "online" });
  }

  // --- the hub, and the way to it ---

  #open() {
    const { worker, base, workerUrl } = this.#settings;
    if (worker && this.#environment.SharedWorker) {
      this.#openWorker(workerScripts(this.#environment, base, workerUrl), []);
    } else {
      this.#openHere(worker && "this browser has no SharedWorker");
    }
  }

  // Tries one script after another.
  #openWorker([script, ...others], failed) {
    if (!script) {
      const tried = failed.length ? `no worker was started from ${failed.join(" and ")}` : "this origin has no script for a worker";
      this.#openHere(`${tried}: serve bus_service.js from this origin, allow it in worker-src, and pass its address as workerUrl`);
      return;
    }
    const { base, share } = this.#settings;
    let port = null;
    const abandon = () => {
      if (this.#port === port) {
        this.#leave();
        this.#openWorker(others, [...failed, script]);
      }
    };
    try {
      const worker = new this.#environment.SharedWorker(script, { type: "module", name: workerName(base, share) });
      worker.onerror = () => this.#awaited && abandon();
      port = worker.port;
    } catch {
      abandon(); // the page may have no worker
      return;
    }
    this.#awaited = { cancel: later(this.#environment, HELLO_WITHIN, abandon), abandon };
    this.#attach(port);
  }

  // `why` tabs do not share a connection, unless that is wanted.
  #openHere(why) {
    if (why && this.#environment.page && !isTold) {
      isTold = true;
      console.warn(`odoo_bus: each tab has a connection of its own, since ${why}. The option worker: false hides this line.`);
    }
    const [mine, its] = localPorts();
    this.#hub = new Hub(this.#environment);
    this.#attach(mine);
    this.#hub.attach(its);
  }

  async #attach(port) {
    this.#port = port;
    this.#isJoined = false;
    port.onmessage = ({ data }) => this.#port === port && this.#receive(data);
    this.#setState("connecting", null);
    const lock = this.#hub ? null : await this.#hold();
    if (this.#port === port) {
      const { base, transports, token } = this.#settings;
      this.#post({ type: "join", channels: this.channels, last: this.#last, base, transports, lock, hasToken: token !== null, offline: this.#isOffline });
      this.#isJoined = true;
      this.#sendWaiting();
    } else {
      this.#release?.();
    }
  }

  // A lock, which the browser releases however this page ends.
  #hold() {
    const { locks } = this.#environment;
    if (!locks) {
      return null;
    }
    const name = `odoo_bus ${this.#environment.random()} ${++this.#lockNumber}`;
    return new Promise((resolve) => {
      locks.request(name, () => {
        resolve(name);
        return new Promise((release) => (this.#release = release));
      }).catch(() => resolve(null));
    });
  }

  #leave() {
    this.#post({ type: "leave" });
    this.#stopWaiting();
    this.#release?.();
    // After the message: a local port that is closed drops what is on its way.
    const port = this.#port;
    queueMicrotask(() => queueMicrotask(() => port?.close()));
    this.#port = this.#hub = this.#release = null;
  }

  // Once the hub has said hello and this page has joined it: a worker that does not say hello is abandoned, with all that it
  // was sent.
  #sendWaiting() {
    if (this.#port && this.#isJoined && !this.#awaited) {
      this.#outbox.splice(0).forEach((message) => this.#post(message));
    }
  }

  #stopWaiting() {
    this.#awaited?.cancel();
    this.#awaited = null;
  }

  #post(message) {
    this.#port?.postMessage(message);
  }

  #watchPage() {
    const { page } = this.#environment;
    if (!page) {
      return;
    }
    page.addEventListener("online", () => this.setOffline(false));
    // Not setOffline(true): a page that sleeps may miss the event that ends it.
    page.addEventListener("offline", () => this.#post({ type: "offline" }));
    page.addEventListener("pagehide", () => {
      if (this.#port) {
        this.#paused = true;
        this.#leave();
      }
    });
    page.addEventListener("pageshow", () => {
      if (this.#paused) {
        this.#paused = false;
        this.start();
      }
    });
    page.document.addEventListener("resume", () => this.#post({ type: "wake" }));
    page.document.addEventListener("visibilitychange", () => !page.document.hidden && this.#post({ type: "wake" }));
  }

  // --- what the hub sends ---

  #receive(message) {
    const actions = {
      hello: () => {
        if (message.version !== VERSION) {
          this.#awaited?.abandon(); // the gateway's, which is older or newer
          return;
        }
        this.#stopWaiting();
        this.#sendWaiting();
      },
      state: () => {
        this.#setState(message.state, message.transport);
        if (message.state === "connected") {
          this.dispatchEvent(new CustomEvent("connect", { detail: { transport: message.transport } }));
        }
      },
      event: () => {
        this.#setState(message.state, message.transport);
        if (message.name === "outdated") {
          this.#position.forget();
        }
        this.dispatchEvent(new CustomEvent(message.name, { detail: message.detail }));
      },
      subscribed: () => this.#settle(message),
      batch: () => this.#deliver(message),
      position: () => this.#keep(message.last),
      token: () => this.#giveToken(message.question),
    };
    actions[message.type]?.();
  }

  #deliver({ n, notifications, last }) {
    // The stored position and what the page was given agree: a page is not unloaded in the middle of this.
    this.#keep(last);
    this.#post({ type: "read", n, last });
    this.#call(() => this.dispatchEvent(new CustomEvent("notification", { detail: notifications })));
    for (const notification of notifications) {
      const { id, type, payload, channel } = notification;
      for (const callback of [...(this.#types.get(type) ?? [])]) {
        this.#call(() => callback(payload, { id, channel }));
      }
      for (const { callback } of [...(this.#channels.get(channel) ?? [])]) {
        if (callback) {
          this.#call(() => callback(notification));
        }
      }
    }
  }

  // An exception of one callback does not keep the others from being called.
  #call(callback) {
    try {
      callback();
    } catch (error) {
      globalThis.reportError ? globalThis.reportError(error) : console.error(error);
    }
  }

  #settle({ channels, refused }) {
    for (const name of channels) {
      for (const { settle } of this.#channels.get(name) ?? []) {
        settle.resolve({ channel: name });
      }
    }
    for (const name of refused) {
      for (const { settle } of this.#channels.get(name) ?? []) {
        settle.reject(new Error(`the channel ${JSON.stringify(name)} is refused`));
      }
    }
  }

  async #giveToken(question) {
    try {
      this.#post({ type: "token", question, token: await this.#settings.token() });
    } catch (error) {
      this.#post({ type: "token", question, error: String(error) });
    }
  }

  #setState(state, transport) {
    if (state !== this.state || transport !== this.transport) {
      Object.assign(this, { state, transport });
      this.dispatchEvent(new CustomEvent("state", { detail: { state, transport } }));
    }
  }

  #remove(name, registration, reason) {
    const registrations = this.#channels.get(name);
    if (!registrations?.delete(registration)) {
      return;
    }
    registration.settle.reject(reason);
    if (registrations.size === 0) {
      this.#channels.delete(name);
      this.#channelsChanged();
    }
  }

  // Posted once for all changes of one task.
  #channelsChanged() {
    if (!this.#dirty) {
      this.#dirty = true;
      queueMicrotask(() => {
        this.#dirty = false;
        this.#post({ type: "channels", channels: this.channels });
      });
    }
  }

  #keep(last) {
    this.#last = last;
    this.#position.set(last);
  }
}
