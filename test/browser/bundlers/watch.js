// Comes before the client: keeps what it says, and notes where the application runs.
Object.assign(globalThis, { warnings: [], received: [], query: new URLSearchParams(location.search) });
console.warn = (text) => warnings.push(text);
delete globalThis[query.get("without")];
const place = globalThis.document ? "page" : "worker";
caches.open("runs").then((runs) => runs.put(`/${crypto.randomUUID()}`, new Response(place)));
// Where it has run, in all tabs.
globalThis.runs = async () => {
  const places = await caches.open("runs").then((runs) => runs.matchAll());
  return Promise.all(places.map((response) => response.text()));
};
