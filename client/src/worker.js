import { defaultEnvironment } from "./environment.js";
import { Hub, VERSION } from "./hub.js";

const NAME = "odoo_bus";

// Tabs share a worker whose script and name are the same.
export const workerName = (base, share) => `${NAME} ${VERSION} ${base} ${share}`;

// The scripts that a worker can be made of, best first. An application's bundle is none of them: it would be run there once
// more.
export function workerScripts({ location, page }, base, workerUrl) {
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
