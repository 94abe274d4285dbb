// Types of bus_service.js.

export declare const VERSION: string;
export declare const TRANSPORTS: readonly TransportName[];

export type TransportName = "websocket" | "events" | "polling";
export type State = "stopped" | "connecting" | "connected" | "waiting" | "offline";

export interface Notification<Payload = unknown> {
  /** The id of the row in bus_bus. */
  id: number;
  type: string;
  payload: Payload;
  /**
   * The name that addChannel() was given, or the stored channel, beginning with the database, when the server added it
   * by itself. Missing when the server does not tell (Odoo's own).
   */
  channel?: string | unknown[];
}

export interface BusServiceOptions {
  /** Where the gateway is, below which are websocket, bus/events and longpolling/poll. Default: "/" of this page. */
  url?: string | URL;
  /** Which transports may be used, best first. */
  transports?: readonly TransportName[];
  /** False: this page connects by itself, instead of sharing the connection of all tabs in a SharedWorker. */
  worker?: boolean;
  /** Tabs share a connection when this is the same: name the user here when tabs can belong to several. */
  share?: string;
  /** Asked for a token (JWT) at each attempt to connect; it is never part of an address. */
  token?: (() => string | null | Promise<string | null>) | null;
  /** Where to begin: the id that the server knew when it rendered this page. Default: 50 seconds ago. */
  last?: number;
}

export interface ChannelOptions<Payload = unknown> {
  /** Called with each notification of this channel. */
  callback?: (notification: Notification<Payload>) => void;
  /** Gives this registration up; the last one takes the channel with it. */
  signal?: AbortSignal;
}

export interface BusServiceEventMap {
  notification: CustomEvent<Notification[]>;
  /** Connected for the first time, or connected already when this tab came. */
  connect: CustomEvent<{ transport: TransportName }>;
  reconnect: CustomEvent<{ transport: TransportName }>;
  /** Now over a better transport; nothing was lost. */
  upgrade: CustomEvent<{ transport: TransportName }>;
  disconnect: CustomEvent<{ code: number; reason: string }>;
  /** Tries again in `delay` milliseconds. */
  reconnecting: CustomEvent<{ delay: number; code: number; reason: string }>;
  connecting: CustomEvent<{ transport: TransportName }>;
  /**
   * Notifications were missed for good (or what this tab missed cannot be asked for), or the page is of another version:
   * load its data anew.
   */
  outdated: CustomEvent<{ reason: string }>;
  /** The session or the token is not valid any more. */
  expired: CustomEvent<{ code: number; reason: string }>;
  /** `state` or `transport` has changed. */
  state: CustomEvent<{ state: State; transport: TransportName | null }>;
}

export declare class BusService extends EventTarget {
  constructor(options?: BusServiceOptions);

  readonly state: State;
  /** What is in use; null while not connected. */
  readonly transport: TransportName | null;
  readonly isActive: boolean;
  readonly channels: string[];
  /** The position up to which everything has been received. */
  readonly last: number;

  start(): void;
  stop(): void;

  /**
   * Adds a channel, and starts the service when it is not started. The promise resolves when everything that is
   * committed from then on will arrive; it rejects when the channel is refused, removed or given up. Nobody has to
   * wait for it. A channel that is refused stays named: it is granted when the server does so at the next connection, or
   * after forceUpdateChannels(), and addChannel() tells that again.
   */
  addChannel<Payload = unknown>(
    name: string,
    options?: ChannelOptions<Payload> | ((notification: Notification<Payload>) => void),
  ): Promise<{ channel: string }>;
  deleteChannel(name: string): void;
  forceUpdateChannels(): void;

  subscribe<Payload = unknown>(
    type: string,
    callback: (payload: Payload, meta: { id: number; channel?: string | unknown[] }) => void,
  ): void;
  unsubscribe(type: string, callback: (...parameters: never[]) => void): void;

  /** Sends an event to the server, by WebSocket, now or when there is one; until then the newest 32 are kept. */
  send(name: string, data?: unknown): void;

  useTransports(transports: readonly TransportName[]): void;
  /** As if the network had gone, or come back. */
  setOffline(offline: boolean): void;

  addEventListener<Name extends keyof BusServiceEventMap>(
    type: Name,
    listener: (event: BusServiceEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof BusServiceEventMap>(
    type: Name,
    listener: (event: BusServiceEventMap[Name]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
