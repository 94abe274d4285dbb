// What the browser provides; tests pass their own.

export function defaultEnvironment() {
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
