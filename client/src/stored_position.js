// A tab's position, which outlives a reload of its page. A page that may not store anything begins anew.
export class StoredPosition {
  constructor(storage, key) {
    Object.assign(this, { storage, key });
  }

  get() {
    try {
      return Number(this.storage?.getItem(this.key)) || 0;
    } catch {
      return 0;
    }
  }

  set(last) {
    try {
      this.storage?.setItem(this.key, String(last));
    } catch {
      // It is not allowed, or the storage is full.
    }
  }

  // The server no longer knows it. A page that reloads itself for that reason must not resume from it again.
  forget() {
    try {
      this.storage?.removeItem(this.key);
    } catch {
      // It was never stored.
    }
  }
}
