// The name that a page gave the channel, or the stored channel (an array) if the server added it by itself.
function channelName(stored) {
  return Array.isArray(stored) && stored.length === 2 && typeof stored[1] === "string" ? stored[1] : stored;
}

// An element of a frame as pages get it: {id, type, payload, channel}, without a channel when the server does not tell it.
export function notificationOf({ id, message, channel }) {
  const notification = { id, type: message.type, payload: message.payload };
  return channel === undefined ? notification : { ...notification, channel: channelName(channel) };
}
