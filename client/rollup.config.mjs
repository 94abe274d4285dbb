// Bundles src/ into bus_service.js: the one file that is served, built into the gateway, and published.
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const banner = `// odoo_bus: live notifications from PostgreSQL, in a page of any kind.
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
// \`last\`, the id of the last notification received, is a position in the order in which the gateway delivers. Each tab
// keeps its own in sessionStorage, the connection has one, and a client that resumes from a position gets what came after
// it, once.
//
// Bundled from client/src by \`make client\`: change the sources instead.
`;

export default {
  input: path("src/service.js"),
  output: { file: path("bus_service.js"), format: "es", banner, indent: false },
};
