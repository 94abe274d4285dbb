// node validate.mjs NODE_MODULES: reads a JSON array of Kubernetes objects, and judges each by the schema of its kind. Prints
// what is wrong with them, a line each, and exits with 1 if anything is.
//
// Schemas allow properties that they do not know, which a server would prune, or refuse: these are the ones that the
// validator of a schema never reads.
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2]);

// `value`, which notes in `unread` the properties that nothing has read yet.
function watched(value, at, unread) {
    if (value === null || typeof value !== "object") return value;
    const children = {};
    for (const key of Object.keys(value)) {
        if (!Array.isArray(value)) unread.add(`${at}/${key}`);
        children[key] = watched(value[key], `${at}/${key}`, unread);
    }
    return new Proxy(value, {
        get(target, key) {
            unread.delete(`${at}/${String(key)}`);
            return Object.hasOwn(children, key) ? children[key] : target[key];
        },
    });
}

let wrong = 0;
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
    const file = path.join(modules, "kubernetes-models", object.apiVersion, `${object.kind}.js`);
    const Model = (await import(pathToFileURL(file)))[object.kind];
    const unread = new Set();
    const problems = [];
    try {
        Model.prototype.validate.call(watched(object, "", unread));
    } catch (error) {
        problems.push(error.message);
    }
    problems.push(...[...unread].map((property) => `${property} is unknown`));
    for (const problem of problems) console.log(`${object.kind}: ${problem}`);
    wrong += problems.length;
}
process.exitCode = wrong ? 1 : 0;
