// The demo's page: uses bus_service.js, and handles each type of notification.
import { BusService } from "/bus/bus_service.js";

const FEED_ROWS = 40;
const LATENCIES = 300;
// The upper bounds of the chart's columns, in milliseconds.
const COLUMNS = [1, 2, 3, 5, 8, 12, 20, 35, 60, 120, 500, Infinity];
const NAMES = { websocket: "WebSocket", events: "event stream", polling: "long polling" };

const byId = (id) => document.getElementById(id);
const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

// --- figures ---

const now = () => performance.timeOrigin + performance.now();
const opened = now();
// False for notifications that were sent before this page was opened.
const isLive = (payload) => !payload?.sent_at || payload.sent_at * 1000 > opened;

let total = 0;
let thisSecond = 0;
let wrong = 0;
const latencies = [];
const seen = new Set();
const steps = new Map(); // the last step received of each export

// Checks that each id is received once, and the steps of each export completely and in order.
function account(id, type, payload) {
  if (seen.has(id)) {
    wrong += 1;
  }
  seen.add(id);
  if (type === "export_job/progress" && "step" in payload) {
    const before = steps.get(payload.job);
    wrong += before !== undefined && payload.step !== 0 && payload.step !== before + 1 ? 1 : 0;
    steps.set(payload.job, payload.step);
  }
}

function count(payload) {
  total += 1;
  thisSecond += 1;
  if (payload?.sent_at && isLive(payload)) {
    latencies.push(Math.max(now() - payload.sent_at * 1000, 0));
    latencies.splice(0, latencies.length - LATENCIES);
  }
}

function showFigures() {
  byId("total").textContent = total.toLocaleString("en");
  byId("rate").textContent = thisSecond;
  byId("missed").textContent = wrong;
  thisSecond = 0;
  if (latencies.length) {
    const middle = [...latencies].sort((a, b) => a - b)[latencies.length >> 1];
    byId("latency").textContent = middle < 100 ? middle.toFixed(1) : Math.round(middle);
  }
  const columns = COLUMNS.map((bound, i) => latencies.filter((ms) => ms <= bound && ms > (COLUMNS[i - 1] ?? -1)).length);
  const most = Math.max(...columns, 1);
  byId("chart").innerHTML = `<line x1="0" x2="360" y1="52.5" y2="52.5"/>${columns
    .map((n, i) => {
      const height = (n / most) * 50;
      const label = i === COLUMNS.length - 1 ? "more" : COLUMNS[i];
      return `<rect x="${i * 30 + 3}" width="24" rx="2" y="${52 - height}" height="${height}"/><text x="${i * 30 + 15}" y="62">${label}</text>`;
    })
    .join("")}`;
}

// --- notifications ---

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

function toast({ title, message, link }) {
  const box = element("div", "toast", message);
  box.prepend(element("strong", "", title));
  if (link) {
    // Only a path of this page's own host.
    const anchor = Object.assign(element("a", "", "Open it"), { href: new URL(link, location.href).pathname, target: "_blank", rel: "noopener" });
    box.append(anchor);
  }
  byId("toasts").append(box);
  while (byId("toasts").children.length > 3) {
    byId("toasts").firstChild.remove();
  }
  setTimeout(() => box.remove(), 6000);
}

function progress({ job, done, total: all }) {
  const percent = Math.round((100 * done) / all);
  byId("bar").style.width = `${percent}%`;
  byId("bar").className = "";
  byId("bar").parentNode.setAttribute("aria-valuenow", percent);
  byId("export").textContent = `job ${job}: ${done} of ${all}, not committed yet`;
}

function ready({ name }) {
  if (name) {
    byId("bar").className = "done";
    byId("export").textContent = `${name} is ready: committed`;
  }
}

let hideBanner = 0;
function announce({ title, message }) {
  const [strong, span] = byId("banner").children;
  strong.textContent = title ?? "Announcement";
  span.textContent = message ?? "";
  byId("banner").hidden = false;
  clearTimeout(hideBanner);
  hideBanner = setTimeout(() => (byId("banner").hidden = true), 8000);
}
byId("banner").querySelector("button").onclick = () => (byId("banner").hidden = true);

function feed({ id, type, payload }) {
  const live = isLive(payload);
  const row = element("li", live ? "" : "again");
  const ms = payload?.sent_at && live ? `${Math.max(now() - payload.sent_at * 1000, 0).toFixed(1)} ms` : "";
  row.append(element("span", "id", `#${id}`), element("span", "type", type), element("span", "ms", ms));
  row.append(element("span", "payload", JSON.stringify(payload).slice(0, 300)));
  byId("feed").prepend(row);
  while (byId("feed").children.length > FEED_ROWS) {
    byId("feed").lastChild.remove();
  }
}

// --- the connection ---

const bus = new BusService();
// For the console, and for tests.
globalThis.bus = bus;

function showState() {
  const { state, transport } = bus;
  byId("state").textContent = state === "connected" ? NAMES[transport] : state === "waiting" ? "trying again" : state;
  byId("state").className = `state ${state}`;
  byId("state").dataset.state = state;
}

function choose(button) {
  for (const each of document.querySelectorAll(".transports button")) {
    each.setAttribute("aria-checked", each === button);
  }
}
for (const button of document.querySelectorAll(".transports button")) {
  button.onclick = () => {
    choose(button);
    bus.useTransports(button.dataset.transports.split(","));
  };
}
choose(document.querySelector(".transports button"));

byId("offline").onclick = () => {
  const offline = byId("offline").getAttribute("aria-pressed") !== "true";
  byId("offline").setAttribute("aria-pressed", offline);
  byId("offline").textContent = offline ? "Go online" : "Go offline";
  bus.setOffline(offline);
};

bus.addEventListener("state", showState);
bus.addEventListener("outdated", () => loadOrders());
bus.addEventListener("notification", ({ detail }) => {
  for (const notification of detail) {
    account(notification.id, notification.type, notification.payload);
    count(notification.payload);
    feed(notification);
  }
});
bus.subscribe("simple_notification", (payload) => isLive(payload) && toast(payload));
bus.subscribe("demo.announcement", (payload) => isLive(payload) && announce(payload));

const channels = await (await fetch("demo/channels")).json();
await loadOrders();
for (const name of channels) {
  const callbacks = {
    demo_export: ({ type, payload }) => (type === "report_ready" ? ready(payload) : "job" in payload && progress(payload)),
  };
  const isOrder = name.startsWith("demo_order_");
  bus.addChannel(name, { callback: isOrder ? ({ payload }) => loadOrders(payload.record_id) : callbacks[name] });
}
showState();
showFigures();
setInterval(showFigures, 1000);
