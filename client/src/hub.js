import { Connection } from "./connection.js";
import { Tab } from "./tab.js";
import { later } from "./timers.js";
import { OPEN_WITHIN } from "./transport.js";

// Of what tabs and hubs say to each other: the scripts of the two may come from different places.
export const VERSION = "1.0";

const POSITION_EVERY = 1_000;

// The connection that all tabs of a browser share. It lives in a SharedWorker; where there is none, each page has its own.
export class Hub {
  constructor(environment) {
    this.environment = environment;
    this.tabs = new Set(); // that have joined
    this.connection = null;
    this.revisions = new Map(); // revision -> the channels that it stands for
    this.known = new Set(); // channels that the server has confirmed
    this.denied = new Set(); // and those that it has refused
    this.questions = new Map(); // tokens that tabs were asked for
    this.nextQuestion = 1;
  }

  attach(port) {
    const tab = new Tab(this, port);
    port.onmessage = ({ data }) => this.receive(tab, data);
    tab.post({ type: "hello", version: VERSION });
  }

  receive(tab, message) {
    const actions = {
      join: () => this.join(tab, message),
      leave: () => this.leave(tab),
      channels: () => this.setChannels(tab, message),
      read: () => tab.hasRead(message.n, message.last),
      send: () => this.connection?.send(message.name, message.data),
      transports: () => this.connection?.setTransports(message.transports),
      wake: () => this.connection?.wake(),
      online: () => (this.connection?.state === "offline" ? this.connection.setOffline(false) : this.connection?.wake()),
      offline: () => this.goOffline(),
      token: () => this.questions.get(message.question)?.(message),
    };
    actions[message.type]?.();
  }

  join(tab, { channels, last, base, transports, lock, hasToken, offline }) {
    this.tabs.add(tab);
    Object.assign(tab, { channels: new Set(channels), last, hasToken });
    if (lock) {
      // A tab that is closed does not say so, but its lock is released.
      this.environment.locks?.request(lock, () => tab.lock === lock && this.leave(tab));
      tab.lock = lock;
    }
    if (!this.connection) {
      this.connection = new Connection(this.environment, { base, transports, token: () => this.token() }, this);
      this.connection.last = last;
      this.update();
      this.connection.start();
    } else {
      this.update();
      // The connection does not go back for one tab.
      if (last && last !== this.connection.last) {
        tab.catchUp();
      } else {
        tab.last = this.connection.last;
      }
    }
    tab.tellState();
    if (offline) {
      this.goOffline();
    }
    this.tellSubscribed(tab);
  }

  leave(tab) {
    if (!this.tabs.delete(tab)) {
      return;
    }
    tab.left();
    if (this.tabs.size) {
      this.update();
    } else {
      this.connection.stop();
      this.connection = null;
      this.revisions.clear();
      this.known.clear();
      this.denied.clear();
    }
  }

  // A connection that was not open tells no event.
  goOffline() {
    this.connection?.setOffline(true);
    this.tabs.forEach((tab) => tab.tellState());
  }

  status() {
    return { state: this.connection.state, transport: this.connection.transportName };
  }

  // --- channels ---

  setChannels(tab, { channels, again }) {
    if (!this.tabs.has(tab)) {
      return;
    }
    tab.channels = new Set(channels);
    this.update(again);
    this.tellSubscribed(tab);
  }

  update(again) {
    const union = [...new Set([...this.tabs].flatMap((tab) => [...tab.channels]))].sort();
    const revision = this.connection.setChannels(union, again);
    if (!this.revisions.has(revision)) {
      this.revisions.set(revision, new Set(union));
    }
    this.known = this.lasting(this.known);
  }

  // Those of these channels that were wanted without a break since the newest confirmation: a tab that adds a channel
  // again waits for the next one.
  lasting(names) {
    const wanted = [...this.revisions.values()];
    return new Set([...names].filter((name) => wanted.every((channels) => channels.has(name))));
  }

  // A refusal is not repeated while the server is asked again: the channel may be granted now.
  tellSubscribed(tab) {
    tab.tellSubscribed(this.known, this.connection.isConfirmed ? this.denied : new Set());
  }

  // --- tokens ---

  // Asks one of the tabs that have tokens: they share one connection because they are one user's.
  async token() {
    const tab = [...this.tabs].reverse().find((one) => one.hasToken);
    if (!tab) {
      return null;
    }
    const question = this.nextQuestion++;
    return new Promise((resolve, reject) => {
      const cancel = later(this.environment, OPEN_WITHIN, () => this.questions.get(question)?.({ error: "no tab answered" }));
      this.questions.set(question, ({ token, error }) => {
        cancel();
        this.questions.delete(question);
        error ? reject(new Error(error)) : resolve(token);
      });
      tab.post({ type: "token", question });
    });
  }

  // --- what the connection tells ---

  event(name, detail) {
    for (const tab of this.tabs) {
      tab.post({ type: "event", name, detail, ...this.status() });
    }
  }

  confirmed(revision, { refused = [], error }, kept) {
    const names = this.revisions.get(revision) ?? new Set();
    for (const older of [...this.revisions.keys()].filter((one) => one < revision)) {
      this.revisions.delete(older);
    }
    const denied = new Set(error ? [...names].filter((name) => !kept || !this.known.has(name)) : refused);
    this.known = this.lasting([...names].filter((name) => !denied.has(name)));
    this.denied = this.lasting([...names].filter((name) => denied.has(name)));
    for (const tab of this.tabs) {
      tab.tellSubscribed(this.known, this.denied);
    }
  }

  batch(notifications, last) {
    for (const tab of this.tabs) {
      const mine = notifications.filter(({ channel }) => this.concerns(tab, channel));
      if (mine.length) {
        tab.give(mine, last);
      } else if (!tab.last) {
        tab.givePosition(last); // where it began
      }
    }
    this.planPosition();
  }

  // A channel that no tab has named was added by the server for the user of all of them.
  concerns(tab, channel) {
    return typeof channel !== "string" || tab.channels.has(channel) || ![...this.tabs].some((other) => other.channels.has(channel));
  }

  // A tab that is sent nothing resumes from the connection's position, too.
  planPosition() {
    this.positionDue ??= later(this.environment, POSITION_EVERY, () => {
      this.positionDue = null;
      for (const tab of this.tabs) {
        tab.givePosition(this.connection.last);
      }
    });
  }
}
