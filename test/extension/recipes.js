// recipes.js: runs a recipe's JavaScript against stand-ins for Odoo's services, delivers rows to it and prints what it did.
// stdin: {"code", "rows": [{"channel", "type", "payload"}], "records"}; stdout: {"channels", "effects"}.
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const services = {};
const effects = [];
const handlers = {};
const channels = [];
const registry = { category: () => ({ add: (name, service) => (services[name] = service) }) };
const stubs = {
    bus_service: {
        subscribe: (type, handler) => (handlers[type] = handler),
        addChannel: (channel) => channels.push(channel),
        start() {},
    },
    notification: { add: (message, options) => effects.push({ message, options }) },
    orm: { read: async (model, ids) => ids.map((id) => ({ id, ...input.records[id] })) },
};
const env = { bus: { trigger: (name, detail) => effects.push({ name, detail }) } };

async function main() {
    const code = input.code.replace('import { registry } from "@web/core/registry";', "");
    new Function("registry", code)(registry);
    for (const service of Object.values(services)) {
        const dependencies = Object.fromEntries(service.dependencies.map((name) => [name, stubs[name]]));
        await service.start(env, dependencies);
    }
    for (const { channel, type, payload } of input.rows) {
        const isOwn = channel.length > 2 || channel[1] === "broadcast";
        if ((isOwn || channels.includes(channel[1])) && handlers[type]) {
            await handlers[type](payload);
        }
    }
    console.log(JSON.stringify({ channels, effects }));
}
main();
