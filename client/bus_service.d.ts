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
   * The name that was passed to addChannel(), or the stored channel, beginning with the database, if the server added it
   * by itself. Missing if the server does not tell it (Odoo's own).
   */
  channel?: string | unknown[];
}

export interface BusServiceOptions {
  /** The gateway's URL, to which websocket, bus/events and longpolling/poll are relative. Default: "/" of this page. */
  url?: string | URL;
  /** The transports that may be used, best first. */
  transports?: readonly TransportName[];
  /** False: this page has a connection of its own, instead of sharing the connection of all tabs in a SharedWorker. */
  worker?: boolean;
  /**
   * The address of bus_service.js at this page's origin, for the SharedWorker. Default: that which webpack or Vite has made,
   * or the gateway's, where these are of this origin. It must not be a bundle that contains an application.
   */
  workerUrl?: string | URL;
  /** Tabs with the same value share a connection: pass the user if tabs can belong to several. */
  share?: string;
  /** Called for a token (JWT) at each attempt to connect; it is never part of a URL. */
  token?: (() => string | null | Promise<string | null>) | null;
  /** The position to begin at: the id that the server knew when it rendered this page. Default: 50 seconds ago. */
  last?: number;
}

export interface ChannelOptions<Payload = unknown> {
  /** Called with each notification of this channel. */
  callback?: (notification: Notification<Payload>) => void;
  /** Removes this registration, and with the last registration the channel. */
  signal?: AbortSignal;
}

export interface BusServiceEventMap {
  notification: CustomEvent<Notification[]>;
  /** Connected for the first time, or connected already when this tab joined. */
  connect: CustomEvent<{ transport: TransportName }>;
  reconnect: CustomEvent<{ transport: TransportName }>;
  /** A better transport is in use now; nothing was lost. */
  upgrade: CustomEvent<{ transport: TransportName }>;
  disconnect: CustomEvent<{ code: number; reason: string }>;
  /** Tries again in `delay` milliseconds. */
  reconnecting: CustomEvent<{ delay: number; code: number; reason: string }>;
  connecting: CustomEvent<{ transport: TransportName }>;
  /**
   * Notifications are lost for this page (for good, or because they cannot be fetched), or the page is of another version:
   * load its data again.
   */
  outdated: CustomEvent<{ reason: string }>;
  /** The session or the token has expired. */
  expired: CustomEvent<{ code: number; reason: string }>;
  /** `state` or `transport` has changed. */
  state: CustomEvent<{ state: State; transport: TransportName | null }>;
}

export declare class BusService extends EventTarget {
  constructor(options?: BusServiceOptions);

  readonly state: State;
  /** The transport in use; null while not connected. */
  readonly transport: TransportName | null;
  readonly isActive: boolean;
  readonly channels: string[];
  /** The position up to which everything has been received. */
  readonly last: number;

  start(): void;
  stop(): void;

  /**
   * Adds a channel, and starts the service if necessary. The promise resolves when everything that is
   * committed from then on will be received; it rejects if the channel is refused or removed, or its signal aborted. It
   * may be ignored. A refused channel remains subscribed: the server is asked for it again at the next connection, and by
   * forceUpdateChannels(); a further addChannel() returns the result.
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

  /** Sends the server an event over a WebSocket; until there is one the newest 32 are kept. */
  send(name: string, data?: unknown): void;

  useTransports(transports: readonly TransportName[]): void;
  /** Simulates that the network is lost, or restored. */
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
