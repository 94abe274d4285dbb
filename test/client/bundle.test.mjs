// client/bus_service.js is generated: it is committed, so that no build needs a bundler, and must be what its sources say.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import config from "../../client/rollup.config.mjs";

const SOURCES = fileURLToPath(new URL("../../client/src/", import.meta.url));
const TOOLS = fileURLToPath(new URL("../../build/client/package.json", import.meta.url));
const missing = !existsSync(TOOLS) && "there is no rollup in build/client: run deploy/install-dependencies";

test("the sources, bundled again, are the committed file", { skip: missing }, async () => {
  const { rollup } = createRequire(TOOLS)("rollup");
  const warnings = [];
  const bundle = await rollup({ ...config, onwarn: (warning) => warnings.push(warning.message) });
  const { output } = await bundle.generate(config.output);
  await bundle.close();
  assert.deepEqual(warnings, []);
  assert.equal(output.length, 1, "one file");
  assert.equal(output[0].imports.length, 0, "no dependency");
  const bundled = Object.keys(output[0].modules).map((path) => path.slice(SOURCES.length));
  assert.deepEqual(bundled.sort(), readdirSync(SOURCES).sort());
  assert.ok(output[0].code === readFileSync(config.output.file, "utf8"), "client/bus_service.js is not what client/src says: make client");
});

test("a source is short enough to be read at once", () => {
  for (const name of readdirSync(SOURCES)) {
    assert.ok(readFileSync(SOURCES + name, "utf8").split("\n").length <= 400, name);
  }
});
