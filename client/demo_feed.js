// The list of notifications, which stays readable at any rate: while many come it changes once a second, and shows of each type the
// newest, with their number. It stands still while the mouse is over it, while it has the focus, and while it is paused.
const ROWS = 60;
const CALM = 8; // notifications a second that are shown one by one
const TICK = 1000;

const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

// Without what the last column is made of.
const text = (payload) => JSON.stringify(payload, (key, value) => (key === "sent_at" ? undefined : value)).slice(0, 300);

export class Feed {
  #list;
  #button;
  #waitingText;
  #pending = new Map(); // key -> {notification, count, ms}
  #waiting = 0; // notifications
  #timer = null;
  #times = []; // of the last notifications
  #held = new Set(); // reasons to stand still

  constructor(list, button, waitingText) {
    this.#list = list;
    this.#button = button;
    this.#waitingText = waitingText;
    const hold = (reason, held) => () => this.#hold(reason, held);
    const byMouse = (call) => ({ pointerType }) => pointerType === "mouse" && call();
    list.addEventListener("pointerenter", byMouse(hold("mouse", true)));
    list.addEventListener("pointerleave", byMouse(hold("mouse", false)));
    list.addEventListener("focus", () => list.matches(":focus-visible") && this.#hold("focus", true)); // not by a click
    list.addEventListener("blur", hold("focus", false));
    button.addEventListener("click", () => this.#hold("button", !this.#held.has("button")));
  }

  // `when`: the milliseconds that it took, or "" when that is not known, or what else is to be shown there.
  add(notification, when) {
    const now = performance.now();
    this.#times = [...this.#times.filter((time) => now - time < TICK), now];
    const isCalm = this.#times.length <= CALM;
    const key = isCalm ? notification.id : notification.type;
    const count = (this.#pending.get(key)?.count ?? 0) + 1;
    this.#pending.delete(key); // the newest comes last
    this.#pending.set(key, { notification, count, when });
    this.#waiting += 1;
    if (this.#pending.size > ROWS) {
      this.#pending.delete(this.#pending.keys().next().value);
    }
    if (this.#held.size > 0) {
      this.#showHeld();
    } else {
      this.#timer ??= setTimeout(() => this.#show(), isCalm ? 50 : TICK);
    }
  }

  #hold(reason, held) {
    this.#held[held ? "add" : "delete"](reason);
    this.#button.setAttribute("aria-pressed", this.#held.has("button"));
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#showHeld();
    if (this.#held.size === 0) {
      this.#show();
    }
  }

  #showHeld() {
    this.#waitingText.textContent = this.#held.size ? `paused, ${this.#waiting} waiting` : "";
  }

  #show() {
    this.#timer = null;
    const rows = [...this.#pending.values()].reverse().map(({ notification: { id, type, payload }, count, when }) => {
      const row = element("li", "");
      row.append(element("span", "id", `#${id}`), element("span", "type", type), element("span", "count", count > 1 ? `×${count}` : ""));
      row.append(element("span", "payload", text(payload)), element("span", "when", when));
      return row;
    });
    this.#pending.clear();
    this.#waiting = 0;
    this.#list.prepend(...rows);
    while (this.#list.children.length > ROWS) {
      this.#list.lastChild.remove();
    }
  }
}
