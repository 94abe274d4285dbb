// Validates the CycloneDX 1.5 document on standard input by its JSON schema: node validate.mjs NODE_MODULES
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const modules = resolve(process.argv[2]);
const require = createRequire(join(modules, "here.js"));
const Ajv = require("ajv").default;
const addFormats = require("ajv-formats").default;

const schema = (name) => JSON.parse(readFileSync(join(modules, `@cyclonedx/cyclonedx-library/res/schema/${name}.SNAPSHOT.schema.json`)));
const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
for (const format of ["idn-email", "iri-reference"])
    ajv.addFormat(format, true);
const bill = schema("bom-1.5");
// It refers to them by the names of their files.
for (const name of ["spdx", "jsf-0.82"]) {
    const { $id, ...other } = schema(name);
    ajv.addSchema(other, new URL(`${name}.SNAPSHOT.schema.json`, bill.$id).href);
}
const validate = ajv.compile(bill);
if (!validate(JSON.parse(readFileSync(0)))) {
    console.log(JSON.stringify(validate.errors, null, 2));
    process.exit(1);
}
