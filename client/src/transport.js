import { EventStreamParser } from "./event_stream.js";
import { later } from "./timers.js";

export const TRANSPORTS = Object.freeze(["websocket", "events", "polling"]);
export const SESSION_EXPIRED = 4001; // a close code
export const OPEN_WITHIN = 10_000; // a transport; then the next one is tried
export const SILENT_STREAM = 45_000; // an event stream has a heartbeat every 15 s
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

export class WebSocketTransport extends Transport {
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
export const TRANSPORT_CLASSES = { websocket: WebSocketTransport, events: EventsTransport, polling: PollingTransport };

// One poll for a tab that resumes from a position of its own. Returns the elements; null when the server does not answer,
// or refuses this token, so that it can be tried again; false when that is of no use.
export async function pollOnce(environment, base, token, params) {
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
