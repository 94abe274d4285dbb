import { BusService, TRANSPORTS, type BusServiceOptions, type Notification } from "odoo-bus-service";
import { VERSION } from "odoo-bus-service/worker";

interface Order {
  name: string;
}

const options: BusServiceOptions = { workerUrl: new URL("https://example.test/bus_service.js"), transports: TRANSPORTS };
const bus = new BusService(options);
const added: Promise<{ channel: string }> = bus.addChannel<Order>("orders", {
  callback: ({ id, payload }: Notification<Order>) => console.log(id + 1, payload.name.length, VERSION.length),
});
bus.addEventListener("notification", ({ detail }) => detail.map(({ type }) => type.length));
bus.addEventListener("reconnecting", ({ detail }) => detail.delay + 1);
// @ts-expect-error: there is no such transport
bus.useTransports(["pigeons"]);
// @ts-expect-error: a name is a text
bus.addChannel(7);
await added;
