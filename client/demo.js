// The demo's page: a client of /websocket, and what it does with each type of notification.

// Subscribes when the connection opens, with the id of the last element of the last frame, and comes back as
// Odoo's own worker does: not after 1000, soon after 4002 and 4004, otherwise with a delay that grows.
class Bus extends EventTarget {
  constructor(url, channels) {
    super();
    this.url = url;
    this.channels = channels;
    this.last = 0;
    this.delay = 1000;
    this.connect();
  }

  connect() {
    this.tell("state", "connecting");
    const socket = new WebSocket(this.url);
    socket.onopen = () => {
      this.delay = 1000;
      socket.send(JSON.stringify({
        event_name: "subscribe",
        data: { channels: this.channels, last: this.last },
      }));
      this.tell("state", "connected");
    };
    socket.onmessage = ({ data }) => {
      const notifications = JSON.parse(data);
      this.last = notifications.at(-1).id;
      this.tell("notifications", notifications);
    };
    socket.onclose = ({ code }) => {
      if (code === 1000) {
        this.tell("state", "ended");
        return;
      }
      const soon = code === 4002 || code === 4004;
      this.delay = soon ? this.delay : Math.min(this.delay * 1.5, 60000);
      this.tell("state", "disconnected");
      setTimeout(() => this.connect(), (soon ? 0 : this.delay) + Math.random() * 1000);
    };
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const FEED_ROWS = 40;
const byId = (id) => document.getElementById(id);
const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

// --- figures ---

const now = () => performance.timeOrigin + performance.now();
const opened = now();
// False for what was sent before this page was opened, and is only replayed to it.
const isLive = (payload) => !payload?.sent_at || payload.sent_at * 1000 > opened;

let total = 0;
const latencies = [];
const perSecond = new Array(60).fill(0);

function count(payload) {
  total += 1;
  perSecond[perSecond.length - 1] += 1;
  if (payload?.sent_at && isLive(payload)) {
    latencies.push(now() - payload.sent_at * 1000);
    latencies.splice(0, latencies.length - 200);
  }
}

function showFigures() {
  byId("total").textContent = total.toLocaleString("en");
  byId("rate").textContent = perSecond.at(-1);
  if (latencies.length) {
    const middle = [...latencies].sort((a, b) => a - b)[latencies.length >> 1];
    byId("latency").textContent = Math.max(middle, 0).toFixed(1);
  }
  const most = Math.max(...perSecond, 10);
  byId("chart").innerHTML = perSecond
    .map((n, i) => `<rect x="${i * 2 + 0.3}" width="1.4" rx="0.4" y="${36 - (n / most) * 36}" height="${(n / most) * 36}"/>`)
    .join("");
  perSecond.shift();
  perSecond.push(0);
}

// --- what arrives ---

async function loadOrders(changed) {
  const orders = await (await fetch("demo/orders")).json();
  byId("orders").replaceChildren(...orders.map((order) => {
    const row = element("tr", order.id === changed ? "changed" : "");
    const state = element("td", "");
    state.append(element("span", `badge ${order.state}`, order.state));
    const amount = order.amount.toLocaleString("en", { minimumFractionDigits: 2 });
    row.append(element("td", "", order.name), element("td", "", order.customer), state, element("td", "number", amount));
    return row;
  }));
}

function toast({ title, message }) {
  const box = element("div", "toast", message);
  box.prepend(element("strong", "", title));
  byId("toasts").append(box);
  setTimeout(() => box.remove(), 6000);
}

function progress({ job, done, total: all }) {
  byId("bar").style.width = `${(100 * done) / all}%`;
  byId("export").textContent = `job ${job}: ${done} of ${all}`;
}

const HANDLERS = {
  "demo.order_updated": ({ record_id }) => loadOrders(record_id),
  "export_job/progress": (payload) => "job" in payload && progress(payload),
  report_ready: ({ name }) => name && (byId("export").textContent = `${name} is ready`),
  simple_notification: (payload) => isLive(payload) && toast(payload),
};

function feed(id, type, payload) {
  const row = element("li", "");
  const ms = payload?.sent_at && isLive(payload) ? `${Math.max(now() - payload.sent_at * 1000, 0).toFixed(1)} ms` : "";
  row.append(element("span", "id", `#${id}`), element("span", "type", type), element("span", "ms", ms));
  row.append(element("span", "payload", JSON.stringify(payload).slice(0, 300)));
  byId("feed").prepend(row);
  while (byId("feed").children.length > FEED_ROWS) {
    byId("feed").lastChild.remove();
  }
}

const channels = await (await fetch("demo/channels")).json();
await loadOrders();
const bus = new Bus(`${location.origin.replace(/^http/, "ws")}/websocket`, channels);
bus.addEventListener("state", ({ detail }) => {
  byId("state").textContent = detail;
  byId("state").className = `state ${detail}`;
});
bus.addEventListener("notifications", ({ detail }) => {
  for (const { id, message: { type, payload } } of detail) {
    count(payload);
    feed(id, type, payload);
    HANDLERS[type]?.(payload);
  }
});
showFigures();
setInterval(showFigures, 1000);
