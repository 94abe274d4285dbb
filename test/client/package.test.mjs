// What npm publishes: the declarations say what the module is, and the package what there is.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as module from "../../client/bus_service.js";
import { FakeNetwork } from "./fake_network.mjs";

const CLIENT = fileURLToPath(new URL("../../client/", import.meta.url));
const read = (name) => readFileSync(join(CLIENT, name), "utf8");
const SOURCE = read("bus_service.js");
const TYPES = read("bus_service.d.ts").replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
const PACKAGE = JSON.parse(read("package.json"));

// The names at the beginning of the members of a declaration, each once.
function members(declaration) {
  const [, body] = TYPES.match(new RegExp(`export (?:declare class|interface) ${declaration}\\b[^{]*\\{\n([^]*?)\n\\}`));
  return [...new Set([...body.matchAll(/^  (?:readonly )?(\w+)\??(?=[(:<])/gm)].map(([, name]) => name))].sort();
}

test("what is declared is there", () => {
  const declared = [...TYPES.matchAll(/export declare (?:const|class|function) (\w+)/g)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), ["BusService", "TRANSPORTS", "VERSION"]);
  for (const name of declared) {
    assert.ok(name in module, name);
  }
  const [, names] = TYPES.match(/type TransportName = (.*);/);
  assert.deepEqual(names.split(" | ").map((name) => JSON.parse(name)), [...module.TRANSPORTS]);
  const [, states] = TYPES.match(/type State = (.*);/);
  for (const state of states.split(" | ")) {
    assert.ok(SOURCE.includes(`state = ${state}`) || SOURCE.includes(`setState(${state}`), state);
  }
});

test("every member of BusService is declared, and every one that is declared is there", () => {
  const bus = new module.BusService({ url: "https://example.test/", environment: new FakeNetwork().environment });
  const own = [...Object.getOwnPropertyNames(module.BusService.prototype), ...Object.keys(bus)];
  const inherited = ["addEventListener", "removeEventListener"]; // declared with the events that there are
  assert.deepEqual(members("BusService"), [...own, ...inherited].sort());
});

test("every option and every event is declared", () => {
  const [, options] = SOURCE.match(/ {2}constructor\(\{ (.*) \} = \{\}\) \{\n {4}super\(\);\n {4}this\.#environment/);
  const names = options.split(", ").map((option) => option.split(" = ")[0]).filter((name) => name !== "environment");
  assert.deepEqual(members("BusServiceOptions"), names.sort());
  const [, of] = SOURCE.match(/const \{ (callback, signal) \} = typeof options/);
  assert.deepEqual(members("ChannelOptions"), of.split(", "));
  const told = new Set([...SOURCE.matchAll(/(?:event\(|CustomEvent\(|name: |\? )"(\w+)"/g)].map(([, name]) => name));
  for (const name of members("BusServiceEventMap")) {
    assert.ok(told.has(name) || SOURCE.includes(`: "${name}";`), name);
  }
  for (const name of [...SOURCE.matchAll(/(?:listener\.event\(|new CustomEvent\()"(\w+)"/g)].map(([, name]) => name)) {
    assert.ok(members("BusServiceEventMap").includes(name), name);
  }
});

test("the package has what it names, and nothing else", () => {
  assert.equal(PACKAGE.type, "module");
  assert.deepEqual(PACKAGE.files, ["bus_service.js", "bus_service.d.ts"]);
  const exported = { types: "./bus_service.d.ts", default: "./bus_service.js" };
  assert.deepEqual(PACKAGE.exports, { ".": exported, "./worker": exported });
  const named = [PACKAGE.main, PACKAGE.types];
  assert.deepEqual(named, ["./bus_service.js", "./bus_service.d.ts"]);
  assert.equal(PACKAGE.sideEffects, true, "in a worker it has one");
  for (const name of [...PACKAGE.files, ...named]) {
    assert.ok(existsSync(join(CLIENT, name)), name);
  }
  assert.deepEqual(Object.keys(PACKAGE.exports["."])[0], "types", "TypeScript takes the first that fits");
  assert.ok(PACKAGE.version.startsWith(`${module.VERSION}.`));
  for (const name of ["dependencies", "peerDependencies", "optionalDependencies"]) {
    assert.ok(!(name in PACKAGE), name);
  }
  assert.deepEqual(Object.keys(PACKAGE.scripts), ["build"], "nothing runs when it is installed");
  assert.ok(!/^\s*(import|export)\b.*\bfrom\b/m.test(SOURCE), "one file, no dependency");
});

test("it is imported by its name", () => {
  const directory = mkdtempSync(join(tmpdir(), "odoo_bus_package."));
  try {
    mkdirSync(join(directory, "node_modules"));
    symlinkSync(CLIENT, join(directory, "node_modules", PACKAGE.name));
    const script = `import { VERSION } from "${PACKAGE.name}"; console.log(VERSION);`;
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: directory, encoding: "utf8" });
    assert.equal(said.trim(), module.VERSION);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
