/** Types of eco.js. Times are milliseconds, cursors opaque strings, the same on every transport. */

export type Overflow = "buffer" | "latest" | "drop" | "close" | "coalesce";
export type Resume = "fresh" | "recovered" | "partial" | "reset";
export type State = "connecting" | "open" | "waiting" | "closed";
export type Transport = "sse" | "websocket";

/** What a subscription may ask for; the server's defaults apply to what is left out. */
export interface Subscription {
  /** Go on behind this cursor; `"earliest"` asks for all history. */
  after?: string | null;
  overflow?: Overflow;
  /** 1 to 4096. */
  capacity?: number;
  /** With `latest` and `coalesce`: at most one delivery in so many milliseconds. */
  intervalMs?: number;
}

export interface Bounds {
  /** The longest first wait before another try; each failure doubles it. The stream's `retry:` replaces it. */
  readonly firstMs: number;
  /** The longest wait after any number of failures. */
  readonly mostMs: number;
  /** For the head of the answer, or the WebSocket handshake. */
  readonly connectMs: number;
  /** Without a byte, before the connection is given up; WebSockets are asked with a ping in between. */
  readonly silentMs: number;
  /** A connection that lived so long makes the waits start over. */
  readonly stableMs: number;
}

export type EndCode =
  | "complete" | "not_allowed" | "refused" | "not_a_stream" | "closed" | "aborted"
  | "going_away" | "slow_consumer" | "too_many" | "busy" | "unavailable" | "slow_reader"
  | "cut" | "unreachable" | "connect_timeout" | "silent" | "woken" | "too_long";

/** How a connection ended. */
export interface End {
  /** One of `EndCode`, or the code of a bye that is none of them. */
  readonly code: EndCode | (string & {});
  /** Both sides knew that it ends. */
  readonly wasClean: boolean;
  /** Whether it is, or would be, opened again. */
  readonly reconnect: boolean;
  /** What the server asked to wait; null when it did not. */
  readonly waitMs: number | null;
  /** The HTTP status or the WebSocket's close code, where there was one. */
  readonly status: number | null;
  readonly detail: string;
}

export interface Open {
  readonly cursor: string | null;
  readonly resume: Resume;
  /** Over SSE. */
  readonly overflow?: Overflow;
  /** Over SSE. */
  readonly capacity?: number;
  /** Over WebSocket. */
  readonly channel?: string;
}

/** Events that were not delivered: those behind `from`, up to and including `to`. */
export interface Gap {
  readonly channel: string;
  readonly from: string;
  readonly to: string;
  readonly dropped: number;
  readonly reason: "overflow" | "coalesced" | "trimmed" | "reset";
}

export interface Bye {
  readonly code: string;
  readonly reason: string;
  readonly reconnect: boolean;
  readonly retry_ms: number;
}

/** An event of a scan. Transient ones have `pos` and `delta`, and no `seq`. */
export interface ScanEvent {
  readonly task_id: string;
  readonly seq?: number;
  readonly step: "vision" | "rule" | "answer" | "reward";
  readonly status: "processing" | "completed" | "failed" | "cancelled";
  readonly progress: number;
  readonly at?: string;
  readonly category?: string | null;
  readonly confidence?: number;
  readonly result?: any;
  readonly reward?: any;
  readonly error?: { readonly code: string; readonly detail: string };
  readonly pos?: number;
  readonly delta?: string;
  readonly [more: string]: unknown;
}

/** An event of a channel; transient ones have no cursor. */
export interface ChannelEvent<T = any> {
  readonly channel: string;
  readonly cursor: string | null;
  readonly data: T;
}

export interface StateDetail {
  /** `connecting`, `waiting`: failures in a row. */
  readonly failures?: number;
  /** `waiting`: until the next try. */
  readonly waitMs?: number;
  /** `waiting`, `closed`: why. */
  readonly end?: End;
}

export interface Clock {
  /** By the wall: it goes on while the machine sleeps. */
  now(): number;
  setTimeout(call: () => void, ms: number): any;
  clearTimeout(timer: any): void;
}

/** What `follow` and `connect` share. An error of a callback is reported as one of an event listener would be. */
export interface Options extends Subscription, Partial<Bounds> {
  transport?: Transport;
  /** Where the server is mounted, with a slash at the end. Default: the folder above that of eco.js. */
  base?: string | URL;
  /** Ends it. */
  signal?: AbortSignal;
  onOpen?(open: Open): void;
  onGap?(gap: Gap): void;
  onBye?(bye: Bye): void;
  onState?(state: State, detail: StateDetail): void;
  /** Instead of the wall clock and the timers: for tests. */
  clock?: Clock;
  /** Instead of Math.random. */
  random?(): number;
  fetch?(url: string, init: RequestInit): Promise<Response>;
  /** For where there is none, such as Node 20. */
  WebSocket?: new (url: string) => any;
}

export interface FollowOptions extends Options {
  /** `cursor`: where to go on behind it. The next event waits for a promise that is returned. */
  onEvent?(event: ScanEvent, cursor: string | null): void | PromiseLike<void>;
}

export interface ConnectOptions<T = any> extends Options {
  /** Names; over WebSocket also each with options of its own. */
  channels?: readonly (string | (Subscription & { channel: string }))[];
  /** `cursor`: where to go on behind it. The next event waits for a promise that is returned. */
  onEvent?(event: ChannelEvent<T>, cursor: string | null): void | PromiseLike<void>;
  /** A channel was refused, at first or on coming back; the others go on. */
  onRefused?(refused: { readonly channel: string; readonly code: string; readonly detail: string }): void;
}

/**
 * One to iterate, or to leave to the callbacks. The iterator has the events from its first use on; the next is read when the one before was
 * taken. It throws EcoError when refused, and the signal's reason when aborted.
 */
export interface Following<E> extends AsyncIterable<E> {
  readonly state: State;
  /** Of what was handed over last: go on behind it, on any transport. */
  readonly cursor: string | null;
  /** Never rejects. */
  readonly ended: Promise<End>;
  /** Harmless when repeated. */
  close(): void;
}

export interface Connection<T = any> extends Following<ChannelEvent<T>> {
  /** Each channel's cursor, to subscribe again with. Empty over SSE, where there is one for all: `cursor`. */
  readonly cursors: Readonly<Record<string, string | null>>;
  /** Over WebSocket. Rejects with EcoError. */
  subscribe(channel: string, options?: Subscription): Promise<{ cursor: string | null; resume: Resume }>;
  /** Over WebSocket. */
  unsubscribe(channel: string): Promise<void>;
  /**
   * Over WebSocket; waits for a connection. The event's cursor, null when transient. Rejects with EcoError: the server's code, `too_large`,
   * `too_many_waiting`, `closed`, or `interrupted`: the connection ended before the answer; it may have been published, and is not sent again.
   */
  publish(channel: string, data: object, options?: { key?: string | null; transient?: boolean }): Promise<string | null>;
}

export class EcoError extends Error {
  constructor(code: string, detail?: string, status?: number | null);
  readonly code: string;
  readonly detail: string;
  readonly status: number | null;
}

/** The standard's interpretation of an event stream, for text in any pieces. */
export class EventStreamParser {
  constructor(lastId?: string);
  /** Of the last event that ended. */
  lastId: string;
  /** The last `retry:`. */
  retry: number | null;
  feed(text: string): Generator<{ event: string; data: string; id: string }>;
}

export const BOUNDS: Readonly<Bounds>;
/** A bye's own `reconnect` wins over it. */
export const ENDS: Readonly<Record<EndCode, { readonly wasClean: boolean; readonly reconnect: boolean }>>;

/** Follow a scan to its end. TypeError for options that cannot be. */
export function follow(task: string | URL, options?: FollowOptions): Following<ScanEvent>;
/** Follow channels, and publish. The usual transport is WebSocket. TypeError for options that cannot be. */
export function connect<T = any>(options?: ConnectOptions<T>): Connection<T>;
