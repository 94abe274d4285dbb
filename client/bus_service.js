// odoo_bus: live notifications from PostgreSQL, in a page of any kind.
//
//     import { BusService } from "/bus/bus_service.js";
//     const bus = new BusService();
//     await bus.addChannel("orders", { callback: ({ type, payload }) => console.log(type, payload) });
//
// One file, no dependency. It is the page's library and, loaded by itself, the script of the SharedWorker in which all
// tabs of a browser share one connection:
//
//     BusService (a tab)  <->  Hub (the worker)  <->  Connection  <->  WebSocket, event stream or long polling
//
// `last`, the id of the last notification received, is a position in the order in which the gateway delivers. Each tab
// keeps its own in sessionStorage, the connection has one, and a client that resumes from a position gets what came after
// it, once.
//
// Bundled from client/src by `make client`: change the sources instead.

// The name that a page gave the channel, or the stored channel (an array) if the server added it by itself.
function channelName(stored) {
  return Array.isArray(stored) && stored.length === 2 && typeof stored[1] === "string" ? stored[1] : stored;
}

// An element of a frame as pages get it: {id, type, payload, channel}, without a channel when the server does not tell it.
function notificationOf({ id, message, channel }) {
  const notification = { id, type: message.type, payload: message.payload };
  return channel === undefined ? notification : { ...notification, channel: channelName(channel) };
}

// Returns a function that cancels the call.
function later(environment, milliseconds, call) {
  const timer = environment.setTimeout(call, milliseconds);
  return () => environment.clearTimeout(timer);
}

// Timers, each under a name of its own.
class Timers {
  constructor(environment) {
    this.environment = environment;
    this.pending = new Map(); // name -> cancel
  }

  has(name) {
    return this.pending.has(name);
  }

  // Replaces the timer of this name.
  start(name, milliseconds, call) {
    this.clear(name);
    const cancel = later(this.environment, milliseconds, () => {
      this.pending.delete(name);
      call();
    });
    this.pending.set(name, cancel);
  }

  clear(name) {
    this.pending.get(name)?.();
    this.pending.delete(name);
  }

  clearAll() {
    for (const name of [...this.pending.keys()]) {
      this.clear(name);
    }
  }
}

// Parses an event stream (HTML, section 9.2.6). An event that is incomplete when the stream ends is dropped.
class EventStreamParser {
  constructor() {
    this.rest = "";
    this.clear();
  }

  clear() {
    this.data = [];
    this.event = "message";
  }

  // The events that `text` completes: {event, data, id}.
  push(text) {
    const events = [];
    this.rest += text;
    let begin = 0;
    while (true) {
      const end = this.rest.indexOf("\n", begin);
      if (end < 0) {
        break;
      }
      const line = this.rest.slice(begin, end).replace(/\r$/, "");
      begin = end + 1;
      if (line !== "") {
        this.field(line);
        continue;
      }
      if (this.data.length || this.id !== undefined) {
        events.push({ event: this.event, data: this.data.join("\n"), id: this.id });
      }
      this.id = undefined;
      this.clear();
    }
    this.rest = this.rest.slice(begin);
    return events;
  }

  field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") {
      this.data.push(value);
    } else if (name === "event") {
      this.event = value;
    } else if (name === "id") {
      this.id = value;
    }
  }
}

const TRANSPORTS = Object.freeze(["websocket", "events", "polling"]);
const SESSION_EXPIRED = 4001; // a close code
const OPEN_WITHIN = 10_000; // a transport; then the next one is tried
const SILENT_STREAM = 45_000; // an event stream has a heartbeat every 15 s
const POLL_WITHIN = 75_000; // a poll is held for 50 s

// A way to the gateway. It calls back opened() once; activity() when anything was received; frame(elements);
// position(last); silence() when a poll was answered with nothing; and ended({kind, code, reason}) once, where kind is
// "closed" after it had opened, and before that "blocked" (this transport does not get through), "unavailable" (the
// server does not answer), "expired" (the session or token is refused) or "refused" (the channels are). It asks
// subscription() for the data of a subscribe.

class Transport {
  constructor(environment, base, token, callbacks) {
    Object.assign(this, { environment, base, token, callbacks, isOpen: false, isOver: false });
    this.cancelTimeout = later(environment, OPEN_WITHIN, () => this.end({ kind: "blocked", reason: "no answer in time" }));
  }

  open() {
    if (!this.isOpen && !this.isOver) {
      this.isOpen = true;
      this.cancelTimeout();
      this.callbacks.opened();
    }
  }

  end({ kind, code = 1006, reason = "" }) {
    if (this.isOver) {
      return;
    }
    this.close();
    this.callbacks.ended({ kind: this.isOpen && kind !== "expired" && kind !== "refused" ? "closed" : kind, code, reason });
  }

  // Does not call back.
  close() {
    this.isOver = true;
    this.cancelTimeout();
  }

  headers() {
    const headers = { "Content-Type": "application/json" };
    return this.token ? { ...headers, Authorization: `Bearer ${this.token}` } : headers;
  }

  // Returns the response, or null after end().
  async post(path, body, signal) {
    let answer;
    try {
      answer = await this.environment.fetch(new URL(path, this.base), {
        method: "POST", headers: this.headers(), body: JSON.stringify(body), signal, cache: "no-store",
        credentials: this.token ? "same-origin" : "include",
      });
    } catch (error) {
      if (!signal.aborted) {
        this.end({ kind: "unavailable", reason: String(error) });
      }
      return null;
    }
    if (answer.status === 200) {
      return answer;
    }
    const refused = answer.status === 403 && answer.headers.get("Odoo-Bus") === "refused";
    const kind = refused ? "refused" : answer.status === 401 ? "expired" : answer.status === 429 || answer.status >= 500 ? "unavailable" : "blocked";
    this.end({ kind, code: kind === "expired" ? SESSION_EXPIRED : 1006, reason: `HTTP ${answer.status}` });
    return null;
  }
}

class WebSocketTransport extends Transport {
  constructor(...parameters) {
    super(...parameters);
    const url = new URL("websocket", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    const protocols = this.token ? ["odoo-bus", `odoo-bus.token.${this.token}`] : [];
    let socket;
    try {
      socket = this.socket = new this.environment.WebSocket(url.href, protocols);
    } catch (error) {
      queueMicrotask(() => this.end({ kind: "blocked", reason: String(error) }));
      return;
    }
    socket.onopen = () => {
      this.open();
      this.subscribe();
    };
    socket.onmessage = ({ data }) => {
      if (this.isOver) {
        return;
      }
      this.callbacks.activity();
      let elements;
      try {
        elements = JSON.parse(data);
      } catch {
        return; // not a frame of the bus
      }
      this.callbacks.frame(elements);
    };
    // The browser does not tell why a handshake has failed.
    socket.onclose = ({ code, reason }) => this.end({ kind: "blocked", code, reason });
  }

  subscribe() {
    const data = this.isOpen && !this.isOver && this.callbacks.subscription();
    if (data) {
      this.send({ event_name: "subscribe", data });
    }
  }

  send(event) {
    this.socket.send(JSON.stringify(event));
  }

  // Returns whether an answer is to be expected.
  probe(answers) {
    if (answers) {
      this.send({ event_name: "bus/ping", data: null });
    } else {
      this.socket.send(new Uint8Array([0]));
    }
    return answers;
  }

  close() {
    super.close();
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      if (this.socket.readyState <= 1) {
        this.socket.close(1000);
      }
    }
  }
}

class EventsTransport extends Transport {
  constructor(...parameters) {
    super(...parameters);
    this.subscribe();
  }

  // A stream keeps the channels that it was opened with: other channels need another stream, which resumes where this one
  // is.
  async subscribe() {
    const data = this.callbacks.subscription();
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const answer = await this.post("bus/events", data, abort.signal);
    if (!answer || this.isOver || this.abort !== abort) {
      return;
    }
    if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream") || !answer.body) {
      this.end({ kind: "blocked", reason: "no event stream" });
      return;
    }
    const current = () => !this.isOver && this.abort === abort;
    const parser = new EventStreamParser();
    const decoder = new TextDecoder();
    const reader = answer.body.getReader();
    try {
      while (true) {
        const { value, done } = await reader.read();
        if (!current()) {
          return;
        }
        if (done) {
          this.end({ kind: "blocked", reason: "the stream ended" });
          return;
        }
        this.heard();
        for (const event of parser.push(decoder.decode(value, { stream: true }))) {
          this.take(event);
          if (!current()) {
            return;
          }
        }
      }
    } catch (error) {
      if (current()) {
        this.end({ kind: "unavailable", reason: String(error) });
      }
    }
  }

  heard() {
    this.callbacks.activity();
    this.cancelSilence?.();
    this.cancelSilence = later(this.environment, SILENT_STREAM, () => this.end({ kind: "closed", reason: "silence" }));
  }

  take({ event, data, id }) {
    if (event === "close") {
      const { code, reason } = JSON.parse(data);
      this.end({ kind: code === SESSION_EXPIRED ? "expired" : "unavailable", code, reason });
      return;
    }
    this.open();
    if (data) {
      this.callbacks.frame(JSON.parse(data));
    } else if (/^\d+$/.test(id)) {
      this.callbacks.position(Number(id));
    }
  }

  close() {
    super.close();
    this.cancelSilence?.();
    this.abort?.abort();
  }
}

class PollingTransport extends Transport {
  constructor(...parameters) {
    super(...parameters);
    this.subscribe();
  }

  // The poll that is held is aborted for one with other channels, which resumes from the same position.
  async subscribe() {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const current = () => !this.isOver && this.abort === abort;
    for (let id = 1; current(); ++id) {
      const params = this.callbacks.subscription(id > 1);
      const cancel = later(this.environment, POLL_WITHIN, () => current() && this.end({ kind: "closed", reason: "no answer" }));
      const answer = await this.ask({ jsonrpc: "2.0", method: "call", id, params }, abort.signal, current);
      cancel();
      if (!answer || !current()) {
        return;
      }
      this.callbacks.activity();
      if (answer.error) {
        const expired = answer.error.code === 100;
        this.end({ kind: expired ? "expired" : "refused", code: expired ? SESSION_EXPIRED : 1006, reason: "refused" });
        return;
      }
      this.open();
      if (answer.result?.length) {
        this.callbacks.frame(answer.result);
      } else {
        this.callbacks.silence(); // the next poll asks for the position
      }
    }
  }

  async ask(request, signal, current) {
    const answer = await this.post("longpolling/poll", request, signal);
    try {
      return answer && (await answer.json());
    } catch (error) {
      if (current()) {
        this.end({ kind: "unavailable", reason: String(error) });
      }
      return null;
    }
  }

  close() {
    super.close();
    this.abort?.abort();
  }
}

// By the names in TRANSPORTS.
const TRANSPORT_CLASSES = { websocket: WebSocketTransport, events: EventsTransport, polling: PollingTransport };

// One poll for a tab that resumes from a position of its own. Returns the elements; null when the server does not answer,
// or refuses this token, so that it can be tried again; false when that is of no use.
async function pollOnce(environment, base, token, params) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const abort = new AbortController();
  const cancel = later(environment, POLL_WITHIN, () => abort.abort());
  try {
    const answer = await environment.fetch(new URL("longpolling/poll", base), {
      method: "POST", headers, cache: "no-store", credentials: token ? "same-origin" : "include", signal: abort.signal,
      body: JSON.stringify({ jsonrpc: "2.0", method: "call", id: 1, params }),
    });
    if (answer.status !== 200) {
      return answer.status === 401 || answer.status === 429 || answer.status >= 500 ? null : false;
    }
    const { result, error } = await answer.json();
    return error?.code === 100 ? null : Array.isArray(result) && result;
  } catch {
    return null;
  } finally {
    cancel();
  }
}

// As Odoo's worker: the delay before the next attempt grows, and jitter keeps clients apart.
const BACK_OFF = { first: 1_000, factor: 1.5, most: 60_000, jitter: 1_000 };
const MAX_QUEUED_EVENTS = 32;
const DEBOUNCE = 250; // of changes of the channels: the gateway takes ten messages within two seconds
const PING_AFTER = 30_000; // silence on a WebSocket whose server answers pings
const PROBE_AFTER = 60_000; // silence on any other, as Odoo's worker
const PONG_WITHIN = 10_000;
const UPGRADE_AFTER = { first: 5_000, factor: 2, most: 600_000 };
const CONFIRM_WITHIN = 5_000; // then a server that confirms nothing is believed
const LATE_TIMER = 20_000; // a timer that is so late tells of a sleep
const RECONNECT_AT_ONCE = new Set([4002, 4004]); // close codes

// One conversation with the gateway, over the first transport that gets through. It never gives up.
class Connection {
  // settings: {base, transports, token: async () => string | null}; listener: {event(name, detail),
  // batch(notifications, last), confirmed(revision, {refused, error}, kept)}. `kept`: after an error the former
  // subscription still holds.
  constructor(environment, settings, listener) {
    Object.assign(this, { environment, settings, listener });
    this.channels = [];
    this.last = 0;
    this.state = "stopped";
    this.transport = null;
    this.index = 0; // of the transport
    this.delay = BACK_OFF.first;
    this.revision = 0; // of the channels
    this.sent = 0; // the newest revision that was sent on this transport
    this.confirmed = 0; // the newest that was confirmed on this transport
    this.confirms = false; // the server confirms subscriptions and answers pings
    this.believed = 0; // the newest that is taken as confirmed when a server confirms nothing
    this.connected = false; // it was, at least once
    this.asksPosition = false;
    this.switching = false; // to a better transport, while nothing was lost
    this.queue = [];
    this.upgradeDelay = UPGRADE_AFTER.first;
    this.timers = new Timers(environment);
  }

  get transportName() {
    return this.state === "connected" ? this.settings.transports[this.index] : null;
  }

  // Whether the server has confirmed the newest channels.
  get isConfirmed() {
    return this.confirmed === this.revision;
  }

  start() {
    if (this.state === "stopped") {
      this.delay = BACK_OFF.first;
      this.connect(0);
    }
  }

  stop() {
    const was = this.state;
    this.drop();
    this.state = "stopped";
    if (was === "connected") {
      this.listener.event("disconnect", { code: 1000, reason: "stopped" });
    }
  }

  // Returns the revision whose confirmation covers these channels.
  setChannels(channels, again = false) {
    if (!again && channels.length === this.channels.length && channels.every((name, i) => name === this.channels[i])) {
      return this.revision;
    }
    this.channels = channels;
    this.revision += 1;
    if (this.state === "connected" && !this.timers.has("debounce")) {
      this.timers.start("debounce", DEBOUNCE, () => this.sent !== this.revision && this.transport?.subscribe());
    }
    return this.revision;
  }

  setTransports(transports) {
    this.settings.transports = transports;
    if (this.state !== "stopped" && this.state !== "offline") {
      this.drop();
      this.upgradeDelay = UPGRADE_AFTER.first;
      this.connect(0);
    }
  }

  send(name, data) {
    if (this.transport instanceof WebSocketTransport && this.state === "connected") {
      this.transport.send({ event_name: name, data });
    } else {
      this.queue.push({ event_name: name, data });
      this.queue.splice(0, this.queue.length - MAX_QUEUED_EVENTS);
    }
  }

  setOffline(offline) {
    if (offline && this.state !== "stopped" && this.state !== "offline") {
      const was = this.state;
      this.drop();
      this.state = "offline";
      if (was === "connected") {
        this.listener.event("disconnect", { code: 1006, reason: "offline" });
      }
    } else if (!offline && this.state === "offline") {
      this.delay = BACK_OFF.first;
      this.schedule(0, "online");
    }
  }

  // The computer or the page may have slept: checks whether the connection is still alive.
  wake() {
    if (this.state === "waiting") {
      this.delay = BACK_OFF.first;
      this.schedule(0, "woken");
    } else if (this.transport instanceof WebSocketTransport && this.state === "connected" && this.confirms) {
      this.ping();
    } else if (this.state === "connected" && this.environment.now() - this.heard > SILENT_STREAM) {
      this.transport.end({ kind: "closed", reason: "silence while asleep" });
    }
  }

  // --- connecting ---

  async connect(index) {
    this.timers.clear("retry");
    const attempt = (this.attempt = {});
    this.state = "connecting";
    if (!this.switching) {
      this.listener.event("connecting", { transport: this.settings.transports[index] });
    }
    let token = null;
    try {
      token = (await this.settings.token?.()) ?? null;
    } catch (error) {
      if (this.attempt === attempt) {
        this.schedule(undefined, `no token: ${error}`);
      }
      return;
    }
    if (this.attempt !== attempt) {
      return;
    }
    this.index = index;
    this.sent = this.confirmed = 0;
    const transport = this.create(index, token, {
      opened: () => this.opened(),
      activity: () => this.activity(),
      frame: (elements) => this.frame(elements),
      position: (last) => this.moveTo(last),
      silence: () => (this.asksPosition = true),
      subscription: (goesOn = false) => this.subscription(goesOn),
      ended: (how) => this.ended(how),
    });
    this.transport = transport;
  }

  create(index, token, callbacks) {
    const guarded = {};
    let transport = null;
    // A transport that was replaced is not listened to.
    for (const [name, call] of Object.entries(callbacks)) {
      guarded[name] = (...values) => (transport === null || transport === this.transport || transport === this.candidate ? call(...values) : undefined);
    }
    transport = new TRANSPORT_CLASSES[this.settings.transports[index]](this.environment, this.settings.base, token, guarded);
    return transport;
  }

  subscription(goesOn) {
    // Without `last` the server begins 50 s ago; with it, the client asks to be told when it is no longer known. (Odoo 19.4
    // and later read check_outdated without a default.)
    const data = { channels: this.channels, last: this.last, check_outdated: this.last > 0, name_channels: true };
    // A poll that is answered with notifications may hold nothing else, so that following polls do not ask for it.
    if (!goesOn || this.sent !== this.revision || this.asksPosition || !this.isConfirmed) {
      data.confirm = this.revision;
    }
    this.asksPosition = false;
    this.sent = this.revision;
    // The time runs from the first request: while notifications keep coming a poll follows another at once.
    if (!this.confirms && !this.isConfirmed && (this.believed !== this.revision || !this.timers.has("confirm"))) {
      const revision = (this.believed = this.revision);
      this.timers.start("confirm", CONFIRM_WITHIN, () => this.state === "connected" && this.confirm({ confirm: revision }));
    }
    return data;
  }

  opened() {
    this.state = "connected";
    this.delay = BACK_OFF.first;
    this.activity();
    const name = this.switching ? "upgrade" : this.connected ? "reconnect" : "connect";
    this.connected = true;
    this.switching = false;
    this.listener.event(name, { transport: this.transportName });
    if (this.transport instanceof WebSocketTransport) {
      for (const event of this.queue.splice(0)) {
        this.transport.send(event);
      }
    } else if (this.sent !== this.revision) {
      this.timers.start("debounce", DEBOUNCE, () => this.transport?.subscribe());
    }
    if (this.index > 0) {
      this.planUpgrade();
    }
  }

  ended({ kind, code, reason }) {
    const was = this.state;
    const index = this.index;
    this.drop();
    if (was === "connected" || this.switching) {
      this.switching = false;
      this.listener.event("disconnect", { code, reason });
    }
    if (code === 1000) {
      this.state = "stopped";
      if (reason === "OUTDATED_VERSION") {
        this.listener.event("outdated", { reason });
      }
      return;
    }
    if (code === SESSION_EXPIRED) {
      this.listener.event("expired", { code, reason });
    }
    if (kind === "refused") {
      this.confirms = true;
      this.confirm({ confirm: this.sent, error: "refused" });
    }
    if (kind === "blocked" && index + 1 < this.settings.transports.length) {
      this.connect(index + 1);
      return;
    }
    this.schedule(RECONNECT_AT_ONCE.has(code) ? 0 : undefined, reason, code);
  }

  // Tries again after `delay`, by default the one that grows.
  schedule(delay, reason, code = 1006) {
    this.state = "waiting";
    if (delay === undefined) {
      this.delay = Math.min(this.delay * BACK_OFF.factor, BACK_OFF.most);
      delay = this.delay;
    }
    delay += this.environment.random() * BACK_OFF.jitter;
    this.listener.event("reconnecting", { delay, code, reason });
    this.timers.start("retry", delay, () => this.connect(0));
  }

  // Closes the transport and cancels all timers, and tells the listener nothing.
  drop() {
    this.attempt = null;
    this.confirmed = 0;
    this.timers.clearAll();
    const { transport, candidate } = this;
    this.transport = this.candidate = null;
    transport?.close();
    candidate?.close();
  }

  // --- back to a better transport ---

  planUpgrade() {
    this.timers.start("upgrade", this.upgradeDelay, () => this.tryUpgrade(0));
    this.upgradeDelay = Math.min(this.upgradeDelay * UPGRADE_AFTER.factor, UPGRADE_AFTER.most);
  }

  // Tries a better transport beside the connection, which goes on meanwhile.
  async tryUpgrade(index) {
    if (this.state !== "connected" || index >= this.index) {
      if (this.state === "connected") {
        this.planUpgrade();
      }
      return;
    }
    const transport = this.transport;
    const token = await Promise.resolve(this.settings.token?.()).catch(() => null);
    if (this.transport !== transport || this.candidate) {
      return;
    }
    const ignore = () => {};
    this.candidate = this.create(index, token ?? null, {
      opened: () => {
        this.drop();
        this.upgradeDelay = UPGRADE_AFTER.first;
        this.switching = true;
        this.connect(index);
      },
      // A stream needs a subscription to be opened, a WebSocket does not.
      subscription: () => (this.settings.transports[index] === "websocket" ? null : { channels: [], last: this.last, confirm: 0 }),
      ended: () => {
        this.candidate = null;
        this.tryUpgrade(index + 1);
      },
      activity: ignore, frame: ignore, position: ignore, silence: ignore,
    });
  }

  // --- what is received ---

  frame(elements) {
    if (!Array.isArray(elements)) {
      return;
    }
    const notifications = [];
    for (const element of elements) {
      if (element?.internal) {
        this.internal(element);
      } else if (Number.isInteger(element?.id) && element.message) {
        notifications.push(notificationOf(element));
      }
    }
    if (notifications.length) {
      this.last = notifications.at(-1).id;
      this.listener.batch(notifications, this.last);
    }
  }

  internal({ type, payload }) {
    if (type === "bus/subscribed") {
      if (!this.confirms) {
        this.confirms = true;
        this.timers.clear("liveness"); // it answers pings, which are sent sooner
        this.activity();
      }
      this.moveTo(payload.last);
      this.confirm(payload);
    } else if (type === "bus/pong") {
      this.moveTo(payload.last);
    } else if (type === "bus/subscription_outdated") {
      this.listener.event("outdated", { reason: "notifications were missed" });
    } else if (type === "bus/last_id_reset") {
      this.last = payload;
      this.listener.event("outdated", { reason: "the database is another one" });
    }
  }

  confirm({ confirm, refused = [], error }) {
    if (this.confirms) {
      this.timers.clear("confirm");
    }
    if (Number.isInteger(confirm) && confirm > this.confirmed && confirm <= this.revision) {
      const kept = this.confirmed > 0;
      this.confirmed = confirm;
      this.listener.confirmed(confirm, { refused, error }, kept);
    }
  }

  // Everything up to this position was received, although none of it may be of these channels.
  moveTo(last) {
    if (Number.isInteger(last) && last > 0) {
      this.last = last;
      this.listener.batch([], last);
    }
  }

  // --- liveness ---

  activity() {
    this.heard = this.environment.now();
    this.timers.clear("pong");
    if (this.transport instanceof WebSocketTransport) {
      if (!this.timers.has("liveness")) {
        this.watch();
      }
    }
  }

  watch() {
    const limit = this.confirms ? PING_AFTER : PROBE_AFTER;
    this.heard = Math.min(this.heard, this.environment.now()); // the clock may have been set back
    const wait = Math.max(limit - (this.environment.now() - this.heard), 1_000);
    const due = this.environment.now() + wait;
    this.timers.start("liveness", wait, () => {
      const now = this.environment.now();
      if (now - due > LATE_TIMER || now - this.heard >= limit) {
        this.ping();
      }
      this.watch();
    });
  }

  ping() {
    if (this.transport.probe?.(this.confirms) && !this.timers.has("pong")) {
      const { transport } = this;
      this.timers.start("pong", PONG_WITHIN, () => transport.end({ kind: "closed", reason: "no answer to a ping" }));
    } else if (!this.confirms) {
      this.heard = this.environment.now();
    }
  }
}

// What the browser provides; tests pass their own.

function defaultEnvironment() {
  const { WebSocket, navigator } = globalThis;
  return {
    WebSocket,
    fetch: (...parameters) => globalThis.fetch(...parameters),
    setTimeout: (...parameters) => globalThis.setTimeout(...parameters),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    location: globalThis.location,
    locks: navigator?.locks,
    SharedWorker: globalThis.SharedWorker,
    storage: storage(),
    page: globalThis.document ? globalThis : null,
  };
}

function storage() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null; // a page that may not store anything
  }
}

const MAX_UNREAD = 256; // batches that a tab has not read; then it is sent nothing until it has
const MAX_HELD = 10_000; // notifications
const MAX_UNANSWERED = 10; // polls of a tab that catches up: two minutes of back-off, while the connection is open
const SEEN_FOR = 60_000;

// A tab as its hub knows it: what it wants, and the position up to which it was sent notifications.
class Tab {
  constructor(hub, port) {
    Object.assign(this, { hub, port });
    this.channels = new Set();
    this.last = 0;
    this.hasToken = false;
    this.lock = null; // the name of a lock that the tab holds as long as it lives
    this.sent = 0; // batches
    this.read = 0; // of these
    this.asleep = false; // it does not read
    this.run = null; // of catchUp()
    this.held = null; // batches that wait until it has caught up
    this.heldCount = 0; // notifications in these
    this.overflowed = false; // held batches were dropped
    this.seen = null; // ids that catchUp() has brought, and that the connection may bring, too
  }

  post(message) {
    this.port.postMessage(message);
  }

  tellState() {
    this.post({ type: "state", ...this.hub.status() });
  }

  tellOutdated() {
    this.post({ type: "event", name: "outdated", detail: { reason: "notifications were missed" }, ...this.hub.status() });
  }

  tellSubscribed(known, denied) {
    const mine = (set) => [...this.channels].filter((name) => set.has(name));
    const [channels, refused] = [mine(known), mine(denied)];
    if (channels.length || refused.length) {
      this.post({ type: "subscribed", channels, refused });
    }
  }

  // --- what the connection brings ---

  give(notifications, last) {
    if (this.asleep) {
      return;
    }
    if (this.held) {
      this.hold(notifications, last);
      return;
    }
    const fresh = this.seen ? notifications.filter(({ id }) => !this.seen.has(id)) : notifications;
    if (fresh.length) {
      this.send(fresh, last);
    }
  }

  hold(notifications, last) {
    this.held.push([notifications, last]);
    this.heldCount += notifications.length;
    if (this.heldCount > MAX_HELD) {
      this.held = [];
      this.heldCount = 0;
      this.overflowed = true;
    }
  }

  send(notifications, last) {
    this.sent += 1;
    this.last = last;
    this.post({ type: "batch", n: this.sent, notifications, last });
    // A frozen tab reads nothing, and its port would keep everything for it.
    if (this.sent - this.read > MAX_UNREAD) {
      this.asleep = true;
    }
  }

  // Everything up to this position is received, although none of it was for this tab.
  givePosition(last) {
    if (!this.held && !this.seen && !this.asleep && this.last !== last) {
      this.last = last;
      this.post({ type: "position", last });
    }
  }

  // The tab has read the batch `n`, and everything before.
  hasRead(n, last) {
    this.read = n;
    if (this.asleep && n === this.sent && this.hub.connection) {
      this.asleep = false;
      this.last = last;
      this.catchUp();
    }
  }

  // --- a position that is not the connection's ---

  // Polls what the tab has missed. What the connection brings meanwhile is held.
  async catchUp() {
    const { environment } = this.hub;
    const run = (this.run = {});
    const channels = [...this.channels];
    const goesOn = () => this.run === run && this.hub.connection;
    this.held = [];
    this.heldCount = 0;
    this.seen = new Set();
    for (let delay = BACK_OFF.first, unanswered = 0, arrived = false; !arrived; ) {
      const token = await this.hub.token().catch(() => null);
      if (!goesOn()) {
        return;
      }
      this.overflowed = false; // what is dropped from now on has to be polled once more
      const params = { channels, last: this.last, check_outdated: true, name_channels: true, confirm: 1 };
      const elements = await pollOnce(environment, this.hub.connection.settings.base, token, params);
      if (!goesOn()) {
        return;
      }
      // While the connection is not open either, the server is waited for.
      unanswered = elements || this.hub.connection.state !== "connected" ? 0 : unanswered + 1;
      if (elements === false || unanswered === MAX_UNANSWERED) {
        this.tellOutdated(); // it goes on from now
        break;
      }
      if (!elements) {
        await new Promise((resolve) => later(environment, delay + environment.random() * BACK_OFF.jitter, resolve));
        delay = Math.min(delay * BACK_OFF.factor, BACK_OFF.most);
        continue;
      }
      arrived = this.giveMissed(elements) && !this.overflowed;
    }
    const held = this.held;
    this.held = null;
    for (const [notifications, last] of held) {
      this.give(notifications, last);
    }
    later(environment, SEEN_FOR, () => this.run === run && (this.seen = null));
  }

  // Returns whether the position of now was reached.
  giveMissed(elements) {
    const notifications = [];
    let arrived = false;
    for (const element of elements) {
      const { id, internal, type, payload } = element;
      if (!internal) {
        notifications.push(notificationOf(element));
        this.seen.add(id);
      } else if (type === "bus/subscribed") {
        arrived = true;
        this.last = payload.last || this.last;
      } else {
        this.tellOutdated();
        this.last = type === "bus/last_id_reset" ? payload : this.last;
      }
    }
    if (notifications.length) {
      this.send(notifications, notifications.at(-1).id);
    }
    return arrived;
  }

  // The tab has left the hub.
  left() {
    this.run = this.lock = null;
  }
}

// Of what tabs and hubs say to each other: the scripts of the two may come from different places.
const VERSION = "1.0";

const POSITION_EVERY = 1_000;

// The connection that all tabs of a browser share. It lives in a SharedWorker; where there is none, each page has its own.
class Hub {
  constructor(environment) {
    this.environment = environment;
    this.tabs = new Set(); // that have joined
    this.connection = null;
    this.revisions = new Map(); // revision -> the channels that it stands for
    this.known = new Set(); // channels that the server has confirmed
    this.denied = new Set(); // and those that it has refused
    this.questions = new Map(); // tokens that tabs were asked for
    this.nextQuestion = 1;
  }

  attach(port) {
    const tab = new Tab(this, port);
    port.onmessage = ({ data }) => this.receive(tab, data);
    tab.post({ type: "hello", version: VERSION });
  }

  receive(tab, message) {
    const actions = {
      join: () => this.join(tab, message),
      leave: () => this.leave(tab),
      channels: () => this.setChannels(tab, message),
      read: () => tab.hasRead(message.n, message.last),
      send: () => this.connection?.send(message.name, message.data),
      transports: () => this.connection?.setTransports(message.transports),
      wake: () => this.connection?.wake(),
      online: () => (this.connection?.state === "offline" ? this.connection.setOffline(false) : this.connection?.wake()),
      offline: () => this.goOffline(),
      token: () => this.questions.get(message.question)?.(message),
    };
    actions[message.type]?.();
  }

  join(tab, { channels, last, base, transports, lock, hasToken, offline }) {
    this.tabs.add(tab);
    Object.assign(tab, { channels: new Set(channels), last, hasToken });
    if (lock) {
      // A tab that is closed does not say so, but its lock is released.
      this.environment.locks?.request(lock, () => tab.lock === lock && this.leave(tab));
      tab.lock = lock;
    }
    if (!this.connection) {
      this.connection = new Connection(this.environment, { base, transports, token: () => this.token() }, this);
      this.connection.last = last;
      this.update();
      this.connection.start();
    } else {
      this.update();
      // The connection does not go back for one tab.
      if (last && last !== this.connection.last) {
        tab.catchUp();
      } else {
        tab.last = this.connection.last;
      }
    }
    tab.tellState();
    if (offline) {
      this.goOffline();
    }
    this.tellSubscribed(tab);
  }

  leave(tab) {
    if (!this.tabs.delete(tab)) {
      return;
    }
    tab.left();
    if (this.tabs.size) {
      this.update();
    } else {
      this.connection.stop();
      this.connection = null;
      this.revisions.clear();
      this.known.clear();
      this.denied.clear();
    }
  }

  // A connection that was not open tells no event.
  goOffline() {
    this.connection?.setOffline(true);
    this.tabs.forEach((tab) => tab.tellState());
  }

  status() {
    return { state: this.connection.state, transport: this.connection.transportName };
  }

  // --- channels ---

  setChannels(tab, { channels, again }) {
    if (!this.tabs.has(tab)) {
      return;
    }
    tab.channels = new Set(channels);
    this.update(again);
    this.tellSubscribed(tab);
  }

  update(again) {
    const union = [...new Set([...this.tabs].flatMap((tab) => [...tab.channels]))].sort();
    const revision = this.connection.setChannels(union, again);
    if (!this.revisions.has(revision)) {
      this.revisions.set(revision, new Set(union));
    }
    this.known = this.lasting(this.known);
  }

  // Those of these channels that were wanted without a break since the newest confirmation: a tab that adds a channel
  // again waits for the next one.
  lasting(names) {
    const wanted = [...this.revisions.values()];
    return new Set([...names].filter((name) => wanted.every((channels) => channels.has(name))));
  }

  // A refusal is not repeated while the server is asked again: the channel may be granted now.
  tellSubscribed(tab) {
    tab.tellSubscribed(this.known, this.connection.isConfirmed ? this.denied : new Set());
  }

  // --- tokens ---

  // Asks one of the tabs that have tokens: they share one connection because they are one user's.
  async token() {
    const tab = [...this.tabs].reverse().find((one) => one.hasToken);
    if (!tab) {
      return null;
    }
    const question = this.nextQuestion++;
    return new Promise((resolve, reject) => {
      const cancel = later(this.environment, OPEN_WITHIN, () => this.questions.get(question)?.({ error: "no tab answered" }));
      this.questions.set(question, ({ token, error }) => {
        cancel();
        this.questions.delete(question);
        error ? reject(new Error(error)) : resolve(token);
      });
      tab.post({ type: "token", question });
    });
  }

  // --- what the connection tells ---

  event(name, detail) {
    for (const tab of this.tabs) {
      tab.post({ type: "event", name, detail, ...this.status() });
    }
  }

  confirmed(revision, { refused = [], error }, kept) {
    const names = this.revisions.get(revision) ?? new Set();
    for (const older of [...this.revisions.keys()].filter((one) => one < revision)) {
      this.revisions.delete(older);
    }
    const denied = new Set(error ? [...names].filter((name) => !kept || !this.known.has(name)) : refused);
    this.known = this.lasting([...names].filter((name) => !denied.has(name)));
    this.denied = this.lasting([...names].filter((name) => denied.has(name)));
    for (const tab of this.tabs) {
      tab.tellSubscribed(this.known, this.denied);
    }
  }

  batch(notifications, last) {
    for (const tab of this.tabs) {
      const mine = notifications.filter(({ channel }) => this.concerns(tab, channel));
      if (mine.length) {
        tab.give(mine, last);
      } else if (!tab.last) {
        tab.givePosition(last); // where it began
      }
    }
    this.planPosition();
  }

  // A channel that no tab has named was added by the server for the user of all of them.
  concerns(tab, channel) {
    return typeof channel !== "string" || tab.channels.has(channel) || ![...this.tabs].some((other) => other.channels.has(channel));
  }

  // A tab that is sent nothing resumes from the connection's position, too.
  planPosition() {
    this.positionDue ??= later(this.environment, POSITION_EVERY, () => {
      this.positionDue = null;
      for (const tab of this.tabs) {
        tab.givePosition(this.connection.last);
      }
    });
  }
}

// The two ends of a message channel within one page. They behave as MessagePorts do.
function localPorts() {
  const make = () => ({ onmessage: null, open: true, close() { this.open = false; } });
  const [one, other] = [make(), make()];
  const connect = (from, to) => {
    from.postMessage = (data) => queueMicrotask(() => from.open && to.open && to.onmessage?.({ data: structuredClone(data) }));
  };
  connect(one, other);
  connect(other, one);
  return [one, other];
}

// A tab's position, which outlives a reload of its page. A page that may not store anything begins anew.
class StoredPosition {
  constructor(storage, key) {
    Object.assign(this, { storage, key });
  }

  get() {
    try {
      return Number(this.storage?.getItem(this.key)) || 0;
    } catch {
      return 0;
    }
  }

  set(last) {
    try {
      this.storage?.setItem(this.key, String(last));
    } catch {
      // It is not allowed, or the storage is full.
    }
  }

  // The server no longer knows it. A page that reloads itself for that reason must not resume from it again.
  forget() {
    try {
      this.storage?.removeItem(this.key);
    } catch {
      // It was never stored.
    }
  }
}

const NAME = "odoo_bus";

// Tabs share a worker whose script and name are the same.
const workerName = (base, share) => `${NAME} ${VERSION} ${base} ${share}`;

// The scripts that a worker can be made of, best first. An application's bundle is none of them: it would be run there once
// more.
function workerScripts({ location, page }, base, workerUrl) {
  if (workerUrl) {
    return [workerUrl];
  }
  const scripts = [new URL("bus/bus_service.js", base)]; // the gateway's
  try {
    // In a bundle of webpack or Vite this is the address of a copy of this file, which they make since this expression
    // stands here. Other bundlers leave it as it is: then it is not that of the bundle.
    const own = new URL("./bus_service.js", import.meta.url);
    const isCopy = !own.pathname.endsWith("/bus_service.js");
    const isThis = own.pathname === new URL(import.meta.url).pathname;
    const entries = [...(page?.document.scripts ?? [])].map(({ src }) => src.split(/[?#]/)[0]);
    const isEntry = entries.includes(own.href); // a bundle of that name
    if (isCopy || (isThis && !isEntry)) {
      scripts.unshift(own);
    }
  } catch {
    // A bundle that is no module has no import.meta.
  }
  return scripts.filter(({ origin }) => origin === location?.origin);
}

// Loaded as the script of a SharedWorker by a BusService. (That of an application may use this module, too.)
const { SharedWorkerGlobalScope } = globalThis;
if (SharedWorkerGlobalScope && globalThis instanceof SharedWorkerGlobalScope && globalThis.name.startsWith(`${NAME} `)) {
  const hub = new Hub(defaultEnvironment());
  globalThis.onconnect = ({ ports: [port] }) => hub.attach(port);
  globalThis.addEventListener("offline", () => hub.goOffline());
  globalThis.addEventListener("online", () => hub.connection?.setOffline(false));
}

const HELLO_WITHIN = 5_000; // of a worker; then it is done without

let isTold = false; // that tabs do not share a connection

const asDirectory = (url) => (url.endsWith("/") ? url : `${url}/`);

// The interface for pages. It talks to a hub through a port: in the SharedWorker, or in this page.
class BusService extends EventTarget {
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

export { BusService, Connection, EventStreamParser, Hub, TRANSPORTS, VERSION };
