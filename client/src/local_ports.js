// The two ends of a message channel within one page. They behave as MessagePorts do.
export function localPorts() {
  const make = () => ({ onmessage: null, open: true, close() { this.open = false; } });
  const [one, other] = [make(), make()];
  const connect = (from, to) => {
    from.postMessage = (data) => queueMicrotask(() => from.open && to.open && to.onmessage?.({ data: structuredClone(data) }));
  };
  connect(one, other);
  connect(other, one);
  return [one, other];
}
