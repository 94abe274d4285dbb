// Returns a function that cancels the call.
export function later(environment, milliseconds, call) {
  const timer = environment.setTimeout(call, milliseconds);
  return () => environment.clearTimeout(timer);
}

// Timers, each under a name of its own.
export class Timers {
  constructor(environment) {
    this.environment = environment;
    this.pending = new Map(); // name -> cancel
  }

  has(name) {
    return this.pending.has(name);
  }

  // Replaces the timer of this name.
  start(name, milliseconds, call) {
    this.clear(name);
    const cancel = later(this.environment, milliseconds, () => {
      this.pending.delete(name);
      call();
    });
    this.pending.set(name, cancel);
  }

  clear(name) {
    this.pending.get(name)?.();
    this.pending.delete(name);
  }

  clearAll() {
    for (const name of [...this.pending.keys()]) {
      this.clear(name);
    }
  }
}
