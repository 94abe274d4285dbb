// Whether everything that was committed has arrived, once. The audit of the demo tells, once a second, which rows were committed
// since it did so last: all of them were before it was sent, so that they arrive before it.
export const AUDIT = "demo_audit";

export class Account {
  missed = 0;
  doubled = 0;
  undone = 0; // delivered, although its transaction was rolled back
  audits = 0;
  #received = new Set();
  #committed = new Set(); // exports
  #rolledBack = new Set();

  receive({ id, type, payload }) {
    this.doubled += this.#received.has(id) ? 1 : 0;
    this.#received.add(id);
    if (type === AUDIT) {
      // The first two may name rows that are older than this page.
      this.audits += 1;
      this.missed += this.audits > 2 ? payload.ids.filter((row) => !this.#received.has(row)).length : 0;
    } else if (type === "export_job/committed" || type === "export_job/rolled_back") {
      const [here, there] = type.endsWith("committed") ? [this.#committed, this.#rolledBack] : [this.#rolledBack, this.#committed];
      here.add(payload.job);
      this.undone += there.has(payload.job) ? 1 : 0;
    }
  }

  get isRight() {
    return this.missed + this.doubled + this.undone === 0;
  }
}
