// A clock that a test moves, and a server that it speaks for.
import { setImmediate as nextTurn } from "node:timers/promises";

// Older versions of Node have none.
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, { detail = null } = {}) {
    super(type);
    this.detail = detail;
  }
};

export class FakeNetwork {
  constructor() {
    this.time = 1_000_000;
    this.clockError = 0; // of the machine's clock, which timers do not follow
    this.timers = new Map();
    this.nextTimer = 1;
    this.sockets = []; // every WebSocket that was opened
    this.requests = []; // every fetch: {path, body, headers, signal, answer(status, body), stream(), fail()}
    this.environment = {
      WebSocket: this.#socketClass(),
      fetch: (url, options) => this.#fetch(url, options),
      setTimeout: (call, milliseconds) => {
        this.timers.set(this.nextTimer, { call, due: this.time + milliseconds });
        return this.nextTimer++;
      },
      clearTimeout: (timer) => this.timers.delete(timer),
      now: () => this.time + this.clockError,
      random: () => 0.5,
      location: new URL("https://example.test/"),
      locks: undefined,
      SharedWorker: undefined,
      storage: undefined,
      page: null,
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get request() {
    return this.requests.at(-1);
  }

  // Lets everything happen that is due within this time, in its order.
  async pass(milliseconds = 0) {
    const end = this.time + milliseconds;
    await settle();
    while (true) {
      const due = [...this.timers.entries()].filter(([, timer]) => timer.due <= end).sort((a, b) => a[1].due - b[1].due)[0];
      if (!due) {
        break;
      }
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].due);
      due[1].call();
      await settle();
    }
    this.time = end;
  }

  // The clock moves and nothing happens: the machine sleeps.
  sleep(milliseconds) {
    this.time += milliseconds;
  }

  #socketClass() {
    const network = this;
    return class FakeSocket {
      constructor(url, protocols) {
        Object.assign(this, { url, protocols, readyState: 0, sent: [], closedWith: null });
        network.sockets.push(this);
      }

      send(data) {
        this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
      }

      close(code) {
        this.readyState = 3;
        this.closedWith = code;
      }

      // --- what the server does ---

      accept() {
        this.readyState = 1;
        this.onopen?.();
      }

      frame(...elements) {
        this.onmessage?.({ data: JSON.stringify(elements) });
      }

      drop(code = 1006, reason = "") {
        this.readyState = 3;
        this.onclose?.({ code, reason });
      }

      get subscribes() {
        return this.sent.filter((event) => event.event_name === "subscribe").map((event) => event.data);
      }

      confirm(last = undefined, more = {}) {
        this.frame({ type: "bus/subscribed", internal: true, payload: { confirm: this.subscribes.at(-1).confirm, last, ...more } });
      }
    };
  }

  #fetch(url, { body, headers, signal }) {
    return new Promise((resolve, reject) => {
      const request = { path: new URL(url).pathname, body: JSON.parse(body), headers, signal };
      signal?.addEventListener("abort", () => {
        request.controller?.error(new DOMException("aborted", "AbortError"));
        reject(new DOMException("aborted", "AbortError"));
      });
      request.fail = () => reject(new TypeError("Failed to fetch"));
      request.answer = (status, answer = {}, more = {}) => {
        const text = typeof answer === "string" ? answer : JSON.stringify(answer);
        resolve(new Response(text, { status, headers: { "Content-Type": "application/json", ...more } }));
      };
      request.result = (...elements) => request.answer(200, { jsonrpc: "2.0", id: 1, result: elements });
      request.stream = () => {
        const stream = new ReadableStream({ start: (controller) => (request.controller = controller) });
        resolve(new Response(stream, { status: 200, headers: { "Content-Type": "text/event-stream" } }));
      };
      request.say = (text) => request.controller.enqueue(new TextEncoder().encode(text));
      request.confirm = (last) => {
        const payload = { confirm: request.body.confirm, last };
        request.say(`event: internal\ndata: ${JSON.stringify([{ type: "bus/subscribed", internal: true, payload }])}\n\n`);
      };
      this.requests.push(request);
    });
  }
}

async function settle() {
  for (let i = 0; i < 5; ++i) {
    await nextTurn();
  }
}

export const row = (id, payload, channel = "a", type = "t") => ({ id, channel: ["db", channel], message: { type, payload } });
