import "./watch.js";
import { BusService } from "odoo-bus-service";

globalThis.bus = new BusService(JSON.parse(query.get("options")) ?? {});
bus.addChannel("a", ({ payload }) => received.push(payload)).then(() => (globalThis.ready = true));
