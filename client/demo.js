// The demo's page: uses bus_service.js, and handles each type of notification.
import { BusService } from "/bus/bus_service.js";
import { Account } from "./demo_account.js";
import { Feed } from "./demo_feed.js";

const LATENCIES = 300;
// The upper bounds of the chart's columns, in milliseconds.
const COLUMNS = [1, 2, 3, 5, 8, 12, 20, 35, 60, 120, 500, Infinity];
const NAMES = { websocket: "WebSocket", events: "event stream", polling: "long polling" };
const MESSAGES = 3;
const MESSAGE_LASTS = 8000; // ms
const ARRIVED = 2;

const byId = (id) => document.getElementById(id);
const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

// --- figures ---

const now = () => performance.timeOrigin + performance.now();
const opened = now();
// False for notifications that were sent before this page was opened.
const isLive = (payload) => !payload?.sent_at || payload.sent_at * 1000 > opened;
const tookMs = (payload) => Math.max(now() - payload.sent_at * 1000, 0);
const asText = (ms) => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`);

let total = 0;
let thisSecond = 0;
const account = new Account();
const latencies = [];

function count(payload) {
  total += 1;
  thisSecond += 1;
  if (payload?.sent_at && isLive(payload)) {
    latencies.push(tookMs(payload));
    latencies.splice(0, latencies.length - LATENCIES);
  }
}

function showFigures() {
  byId("total").textContent = total.toLocaleString("en");
  byId("rate").textContent = thisSecond;
  thisSecond = 0;
  if (latencies.length) {
    const middle = [...latencies].sort((a, b) => a - b)[latencies.length >> 1];
    byId("latency").textContent = middle < 100 ? middle.toFixed(1) : Math.round(middle);
  }
  showChart();
}

function showVerdict() {
  byId("missed").textContent = account.missed;
  byId("doubled").textContent = account.doubled;
  byId("verdict").classList.toggle("wrong", !account.isRight);
  if (account.undone) {
    byId("audited").textContent = `${account.undone} of a transaction that was rolled back`;
  } else if (account.audits > 2) {
    byId("audited").textContent = "compared with the table each second";
  }
}

function showChart() {
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

let areOrdersOld = false;
async function loadOrders(changed) {
  const answer = await fetch("demo/orders").catch(() => null);
  areOrdersOld = !answer?.ok; // PostgreSQL is down
  if (areOrdersOld) {
    return;
  }
  byId("orders").replaceChildren(...(await answer.json()).map((order) => {
    const row = element("tr", order.id === changed ? "changed" : "");
    const state = element("td", "");
    state.append(element("span", `badge ${order.state}`, order.state));
    const amount = order.amount.toLocaleString("en", { minimumFractionDigits: 2 });
    row.append(element("td", "", order.name), element("td", "", order.customer), state, element("td", "number", amount));
    return row;
  }));
}

// A place of their own, in which they cover nothing.
function showMessage(className, { title, message, link }) {
  const box = element("li", className, message ?? "");
  box.prepend(element("strong", "", title ?? ""));
  if (link) {
    // Only a path of this page's own host.
    box.append(Object.assign(element("a", "", "Open it"), { href: new URL(link, location.href).pathname, target: "_blank", rel: "noopener" }));
  }
  byId("messages").prepend(box);
  while (byId("messages").children.length > MESSAGES) {
    byId("messages").lastChild.remove();
  }
  setTimeout(() => box.remove(), MESSAGE_LASTS);
}

function showBar(percent, className, text) {
  const bar = byId("bar");
  bar.style.transition = percent < parseInt(bar.style.width || 0, 10) ? "none" : ""; // a new job does not begin by going back
  bar.style.width = `${percent}%`;
  bar.className = className;
  bar.parentNode.setAttribute("aria-valuenow", percent);
  byId("export").textContent = text;
}

let ended = 0; // the job that has committed, or was rolled back
function endJob(job, ...shown) {
  ended = job;
  showBar(...shown);
}

const EXPORT = {
  // What a transaction sent before may come after what bus_sendnow() sends, and the reverse: they are concurrent.
  "export_job/progress": ({ job, done, total: all }) =>
    job !== ended && showBar(Math.round((100 * done) / all), "", `job ${job}: ${done} of ${all}, not committed yet`),
  "export_job/committed": ({ job, name }) => endJob(job, 100, "done", `${name} is ready: committed`),
  "export_job/rolled_back": ({ job, done }) =>
    endJob(job, done, "undone", `job ${job} was rolled back at ${done} of 100: its report is not delivered`),
};

function showArrived({ id, type, payload }) {
  const row = element("li", "", ` ${type} `);
  row.prepend(element("strong", "", `#${id}`));
  row.append(element("code", "", JSON.stringify(payload)));
  byId("arrived").querySelector("li:not(:has(strong))")?.remove();
  byId("arrived").prepend(row);
  while (byId("arrived").children.length > ARRIVED) {
    byId("arrived").lastChild.remove();
  }
}

const feed = new Feed(byId("feed"), byId("pause"), byId("waiting"));

// --- the connection ---

const bus = new BusService();
// For the console, and for tests.
Object.assign(globalThis, { bus, account });

let nextAttempt = 0; // performance.now() of it, while one is waited for
let countdown = 0;

function showCountdown() {
  const left = Math.max(nextAttempt - performance.now(), 0) / 1000;
  byId("countdown").textContent = bus.state === "waiting" && nextAttempt ? `next attempt in ${left.toFixed(1)} s` : "";
}

function showState() {
  const { state, transport } = bus;
  byId("state").textContent = state === "connected" ? NAMES[transport] : state === "waiting" ? "not connected" : state;
  byId("connection").className = `connection ${state}`;
  byId("state").dataset.state = state;
  clearInterval(countdown);
  if (state === "waiting") {
    countdown = setInterval(showCountdown, 100);
  }
  showCountdown();
}

for (const input of document.querySelectorAll(".transports input")) {
  input.onchange = () => bus.useTransports(input.value.split(","));
}

byId("offline").onclick = () => {
  const offline = byId("offline").getAttribute("aria-pressed") !== "true";
  byId("offline").setAttribute("aria-pressed", offline);
  byId("offline").textContent = offline ? "Go online" : "Go offline";
  bus.setOffline(offline);
};

bus.addEventListener("state", showState);
bus.addEventListener("reconnecting", ({ detail: { delay } }) => {
  nextAttempt = performance.now() + delay;
  showCountdown();
});
// Another demo at the same address begins with the same ids.
bus.addEventListener("outdated", ({ detail: { reason } }) => (reason === "the database is another one" ? location.reload() : loadOrders()));
bus.addEventListener("notification", ({ detail }) => {
  for (const notification of detail) {
    const { payload } = notification;
    account.receive(notification);
    count(payload);
    feed.add(notification, !payload?.sent_at ? "" : isLive(payload) ? asText(tookMs(payload)) : "earlier");
  }
  showVerdict();
});
bus.subscribe("simple_notification", (payload) => isLive(payload) && showMessage("", payload));
bus.subscribe("demo.announcement", (payload) => isLive(payload) && showMessage("announcement", payload));

// --- the parts behind it, and the buttons that break them ---

const buttons = document.querySelectorAll("button[data-break]");
const ENDED = { gateway: false, postgresql: false, back_in: null, last: { at: null, text: "The demo has ended." } };
let happenedAt = 0;

function showParts({ gateway, postgresql, back_in: backIn, last }) {
  const parts = { gateway, postgresql };
  for (const [id, isUp] of Object.entries(parts)) {
    byId(id).className = isUp ? "up" : "down";
  }
  byId("gateway").textContent = gateway ? "gateway" : "gateway is down";
  byId("postgresql").textContent = postgresql ? "PostgreSQL" : `PostgreSQL is down${backIn === null ? "" : `, back in ${Math.ceil(backIn)} s`}`;
  for (const button of buttons) {
    button.disabled = !(parts[button.dataset.break] ?? postgresql);
  }
  if (last && last.at !== happenedAt) {
    happenedAt = last.at;
    const time = last.at ? `${new Date(last.at * 1000).toLocaleTimeString("en-GB")} ` : "";
    byId("happened").textContent = time + last.text;
  }
}

async function loadParts() {
  const answer = await fetch("demo/state").catch(() => null);
  showParts(answer?.ok ? await answer.json() : ENDED);
}

for (const button of buttons) {
  button.onclick = async () => {
    button.disabled = true;
    const answer = await fetch(`demo/break/${button.dataset.break}`, { method: "POST" }).catch(() => null);
    if (answer?.ok) {
      showParts(await answer.json()); // as they were then: what is asked for later may be back
      return;
    }
    await loadParts();
    if (answer) {
      byId("happened").textContent = await answer.json(); // why not
    }
  };
}

for (const button of document.querySelectorAll(".code button")) {
  button.onclick = async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
}

const { channels, hello, sql, psql } = await (await fetch("demo/setup")).json();
byId("psql").textContent = psql;
byId("sql").textContent = sql;
await loadOrders();
for (const name of channels) {
  const callbacks = { demo_export: ({ type, payload }) => EXPORT[type]?.(payload), [hello]: showArrived };
  const isOrder = name.startsWith("demo_order_");
  bus.addChannel(name, { callback: isOrder ? ({ payload }) => loadOrders(payload.record_id) : callbacks[name] });
}
showState();
showFigures();
loadParts();
setInterval(() => {
  showFigures();
  loadParts();
  if (areOrdersOld) {
    loadOrders();
  }
}, 1000);
