import { BACK_OFF } from "./connection.js";
import { notificationOf } from "./notification.js";
import { later } from "./timers.js";
import { pollOnce } from "./transport.js";

const MAX_UNREAD = 256; // batches that a tab has not read; then it is sent nothing until it has
const MAX_HELD = 10_000; // notifications
const MAX_UNANSWERED = 10; // polls of a tab that catches up: two minutes of back-off, while the connection is open
const SEEN_FOR = 60_000;

// A tab as its hub knows it: what it wants, and the position up to which it was sent notifications.
export class Tab {
  constructor(hub, port) {
    Object.assign(this, { hub, port });
    this.channels = new Set();
    this.last = 0;
    this.hasToken = false;
    this.lock = null; // the name of a lock that the tab holds as long as it lives
    this.sent = 0; // batches
    this.read = 0; // of these
    this.asleep = false; // it does not read
    this.run = null; // of catchUp()
    this.held = null; // batches that wait until it has caught up
    this.heldCount = 0; // notifications in these
    this.overflowed = false; // held batches were dropped
    this.seen = null; // ids that catchUp() has brought, and that the connection may bring, too
  }

  post(message) {
    this.port.postMessage(message);
  }

  tellState() {
    this.post({ type: "state", ...this.hub.status() });
  }

  tellOutdated() {
    this.post({ type: "event", name: "outdated", detail: { reason: "notifications were missed" }, ...this.hub.status() });
  }

  tellSubscribed(known, denied) {
    const mine = (set) => [...this.channels].filter((name) => set.has(name));
    const [channels, refused] = [mine(known), mine(denied)];
    if (channels.length || refused.length) {
      this.post({ type: "subscribed", channels, refused });
    }
  }

  // --- what the connection brings ---

  give(notifications, last) {
    if (this.asleep) {
      return;
    }
    if (this.held) {
      this.hold(notifications, last);
      return;
    }
    const fresh = this.seen ? notifications.filter(({ id }) => !this.seen.has(id)) : notifications;
    if (fresh.length) {
      this.send(fresh, last);
    }
  }

  hold(notifications, last) {
    this.held.push([notifications, last]);
    this.heldCount += notifications.length;
    if (this.heldCount > MAX_HELD) {
      this.held = [];
      this.heldCount = 0;
      this.overflowed = true;
    }
  }

  send(notifications, last) {
    this.sent += 1;
    this.last = last;
    this.post({ type: "batch", n: this.sent, notifications, last });
    // A frozen tab reads nothing, and its port would keep everything for it.
    if (this.sent - this.read > MAX_UNREAD) {
      this.asleep = true;
    }
  }

  // Everything up to this position is received, although none of it was for this tab.
  givePosition(last) {
    if (!this.held && !this.seen && !this.asleep && this.last !== last) {
      this.last = last;
      this.post({ type: "position", last });
    }
  }

  // The tab has read the batch `n`, and everything before.
  hasRead(n, last) {
    this.read = n;
    if (this.asleep && n === this.sent && this.hub.connection) {
      this.asleep = false;
      this.last = last;
      this.catchUp();
    }
  }

  // --- a position that is not the connection's ---

  // Polls what the tab has missed. What the connection brings meanwhile is held.
  async catchUp() {
    const { environment } = this.hub;
    const run = (this.run = {});
    const channels = [...this.channels];
    const goesOn = () => this.run === run && this.hub.connection;
    this.held = [];
    this.heldCount = 0;
    this.seen = new Set();
    for (let delay = BACK_OFF.first, unanswered = 0, arrived = false; !arrived; ) {
      const token = await this.hub.token().catch(() => null);
      if (!goesOn()) {
        return;
      }
      this.overflowed = false; // what is dropped from now on has to be polled once more
      const params = { channels, last: this.last, check_outdated: true, name_channels: true, confirm: 1 };
      const elements = await pollOnce(environment, this.hub.connection.settings.base, token, params);
      if (!goesOn()) {
        return;
      }
      // While the connection is not open either, the server is waited for.
      unanswered = elements || this.hub.connection.state !== "connected" ? 0 : unanswered + 1;
      if (elements === false || unanswered === MAX_UNANSWERED) {
        this.tellOutdated(); // it goes on from now
        break;
      }
      if (!elements) {
        await new Promise((resolve) => later(environment, delay + environment.random() * BACK_OFF.jitter, resolve));
        delay = Math.min(delay * BACK_OFF.factor, BACK_OFF.most);
        continue;
      }
      arrived = this.giveMissed(elements) && !this.overflowed;
    }
    const held = this.held;
    this.held = null;
    for (const [notifications, last] of held) {
      this.give(notifications, last);
    }
    later(environment, SEEN_FOR, () => this.run === run && (this.seen = null));
  }

  // Returns whether the position of now was reached.
  giveMissed(elements) {
    const notifications = [];
    let arrived = false;
    for (const element of elements) {
      const { id, internal, type, payload } = element;
      if (!internal) {
        notifications.push(notificationOf(element));
        this.seen.add(id);
      } else if (type === "bus/subscribed") {
        arrived = true;
        this.last = payload.last || this.last;
      } else {
        this.tellOutdated();
        this.last = type === "bus/last_id_reset" ? payload : this.last;
      }
    }
    if (notifications.length) {
      this.send(notifications, notifications.at(-1).id);
    }
    return arrived;
  }

  // The tab has left the hub.
  left() {
    this.run = this.lock = null;
  }
}
