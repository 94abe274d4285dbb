// Parses an event stream (HTML, section 9.2.6). An event that is incomplete when the stream ends is dropped.
export class EventStreamParser {
  constructor() {
    this.rest = "";
    this.clear();
  }

  clear() {
    this.data = [];
    this.event = "message";
  }

  // The events that `text` completes: {event, data, id}.
  push(text) {
    const events = [];
    this.rest += text;
    let begin = 0;
    while (true) {
      const end = this.rest.indexOf("\n", begin);
      if (end < 0) {
        break;
      }
      const line = this.rest.slice(begin, end).replace(/\r$/, "");
      begin = end + 1;
      if (line !== "") {
        this.field(line);
        continue;
      }
      if (this.data.length || this.id !== undefined) {
        events.push({ event: this.event, data: this.data.join("\n"), id: this.id });
      }
      this.id = undefined;
      this.clear();
    }
    this.rest = this.rest.slice(begin);
    return events;
  }

  field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") {
      this.data.push(value);
    } else if (name === "event") {
      this.event = value;
    } else if (name === "id") {
      this.id = value;
    }
  }
}
