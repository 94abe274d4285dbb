import { notificationOf } from "./notification.js";
import { Timers } from "./timers.js";
import { SESSION_EXPIRED, SILENT_STREAM, TRANSPORT_CLASSES, WebSocketTransport } from "./transport.js";

// As Odoo's worker: the delay before the next attempt grows, and jitter keeps clients apart.
export const BACK_OFF = { first: 1_000, factor: 1.5, most: 60_000, jitter: 1_000 };
export const MAX_QUEUED_EVENTS = 32;
const DEBOUNCE = 250; // of changes of the channels: the gateway takes ten messages within two seconds
const PING_AFTER = 30_000; // silence on a WebSocket whose server answers pings
const PROBE_AFTER = 60_000; // silence on any other, as Odoo's worker
const PONG_WITHIN = 10_000;
const UPGRADE_AFTER = { first: 5_000, factor: 2, most: 600_000 };
const CONFIRM_WITHIN = 5_000; // then a server that confirms nothing is believed
const LATE_TIMER = 20_000; // a timer that is so late tells of a sleep
const RECONNECT_AT_ONCE = new Set([4002, 4004]); // close codes

// One conversation with the gateway, over the first transport that gets through. It never gives up.
export class Connection {
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
