/**
 * A client for browsers, without dependencies: follows scans and channels over Server-Sent Events or WebSocket, comes back by itself after
 * any fault, and goes on behind the last event, so that nothing is lost and nothing comes twice.
 *
 *     import { connect, follow } from "./eco.js";
 *     for await (const event of follow(taskId)) console.log(event.step, event.progress);
 *     const room = connect({ channels: ["room:kitchen"], onEvent: ({ channel, data }) => … });
 *     const cursor = await room.publish("room:kitchen", { hello: 1 });
 *
 * States: `connecting` → `open` → `waiting` (until the next try) → `connecting` …, and `closed` at last. How a connection ends, whether both
 * sides knew (`wasClean`) and whether it is tried again is the table `ENDS`; all bounds in time are in `BOUNDS`.
 *
 * The wait before the next try is what the server said (`retry_ms` of a bye, `Retry-After`); else anything from 0 to a bound (full jitter)
 * that starts at `firstMs`, or the stream's `retry:`, and doubles up to `mostMs`. `online`, a page shown again and a machine that slept end
 * such a wait, except one that the server asked for, and let an open connection be looked at.
 *
 * A browser has six HTTP/1.1 connections to a host, for all its tabs together. Six open streams leave none for a seventh, nor for any other
 * request: those wait until one ends. WebSockets are not counted among the six, nor are streams over HTTP/2: where many tabs are usual,
 * take `transport: "websocket"`, or close what nobody looks at.
 */

import { BOUNDS, EcoError, ENDS, Link, made, report } from "./eco-link.js";
import { EventStreamParser, Sse } from "./eco-sse.js";
import { Socket } from "./eco-socket.js";

export { BOUNDS, EcoError, ENDS, EventStreamParser };

/** Where the server is mounted; right below any prefix because this file lies in static/. */
const BASE = new URL("..", import.meta.url);

/** @param {URL} url @param {any} options @returns {URL} with the options of a subscription */
function queried(url, { after, overflow, capacity, intervalMs }) {
  const asked = { after, overflow, capacity, interval_ms: intervalMs };
  for (const [name, value] of Object.entries(asked)) if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
  return url;
}

/** Hands events to a callback or to an iterator, one at a time: the next is read when this one was taken. */
class Outlet {
  /** @type {{resolve: (result: any) => void, reject: (error: unknown) => void}[]} */
  #asked = [];
  /** @type {{value: any, taken: () => void}|null} */
  #held = null;
  /** @type {{error: unknown}|null} */
  #over = null;
  #iterated = false;

  /** @param {any} value @param {() => void} mark notes that it was handed over @returns {Promise<void>|undefined} */
  hand(value, mark) {
    const asked = this.#asked.shift();
    if (asked || !this.#iterated || this.#over) {
      mark();
      return void asked?.resolve({ value, done: false });
    }
    return new Promise((resolve) => (this.#held = { value, taken: () => (mark(), resolve()) }));
  }

  /** @param {unknown} error null: a good end */
  end(error) {
    this.#over ??= { error };
    this.#held = null;
    for (const { resolve, reject } of this.#asked.splice(0)) error ? reject(error) : resolve({ value: undefined, done: true });
  }

  /** @returns {Promise<any>} */
  #next() {
    const held = this.#held;
    this.#held = null;
    if (held) return held.taken(), Promise.resolve({ value: held.value, done: false });
    if (this.#over?.error) return Promise.reject(this.#over.error);
    if (this.#over) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
  }

  /** @param {() => void} close */
  iterator(close) {
    this.#iterated = true;
    const stop = (value) => (close(), Promise.resolve({ value, done: true }));
    return { next: () => this.#next(), return: stop, throw: (error) => (close(), Promise.reject(error)), [Symbol.asyncIterator]() { return this; } };
  }
}

/** What is followed, until it ends, is closed, or its signal is aborted. */
class Following {
  #options;
  #outlet = new Outlet();
  #link;
  #plan;
  /** @type {string|null} of the last event, gap or opening that was handed over: go on behind it, on any transport */
  cursor;
  /** @type {Promise<import("./eco-link.js").End>} never rejects */
  ended;

  /**
   * @param {any} options
   * @param {{wire: (sink: any) => any, single?: boolean, value?: (told: any) => any, final?: (value: any) => boolean}} plan
   *   `single`: a refusal is the end; `value`: what of a message is handed over; `final`: whether nothing comes behind it
   */
  constructor(options, plan) {
    this.#options = options;
    this.#plan = plan;
    this.cursor = options.after ?? null;
    this.wire = plan.wire(this.#sink());
    let settle = (_end) => {};
    this.ended = new Promise((resolve) => (settle = resolve));
    const onState = (state, detail) => this.#call("onState", state, detail);
    this.#link = new Link((attempt) => this.wire.open(attempt), options, onState, (end) => {
      this.wire.close?.();
      this.#outlet.end(this.#failure(end));
      settle(end);
    });
  }

  /** @returns {"connecting"|"open"|"waiting"|"closed"} */
  get state() {
    return this.#link.state;
  }

  /** End it; harmless when repeated. */
  close() {
    this.#link.finish(made("closed"));
  }

  /** Events from now on; the next is read when the one before was taken. Throws EcoError when refused. */
  [Symbol.asyncIterator]() {
    return this.#outlet.iterator(() => this.close());
  }

  #failure(end) {
    if (end.code === "aborted") return this.#options.signal.reason;
    return end.code === "complete" || end.code === "closed" ? null : new EcoError(end.code, end.detail, end.status);
  }

  /** @param {string} name of a callback: what it throws is reported, and does not end anything */
  #call(name, ...given) {
    try {
      const pending = this.#options[name]?.(...given);
      return typeof pending?.then === "function" ? Promise.resolve(pending).catch(report) : undefined;
    } catch (error) {
      return void report(error);
    }
  }

  #event(told, cursor) {
    const value = this.#plan.value ? this.#plan.value(told) : told;
    const taken = this.#outlet.hand(value, () => (this.cursor = cursor || this.cursor));
    const pending = this.#call("onEvent", value, cursor || null);
    const both = taken && pending ? Promise.all([taken, pending]) : (taken ?? pending);
    if (!this.#plan.final?.(value)) return both;
    const finish = () => this.#link.finish(made("complete"));
    return both ? both.then(finish) : finish();
  }

  #sink() {
    const at = (cursor) => (this.cursor = cursor || this.cursor);
    return {
      event: (told, cursor) => this.#event(told, cursor),
      opened: (told, cursor) => (at(cursor), this.#call("onOpen", told)),
      gap: (told, cursor) => (at(cursor), this.#call("onGap", told)),
      bye: (told) => this.#call("onBye", told),
      refused: (told) => {
        if (this.#plan.single) this.#link.finish(made("refused", { detail: `${told.code}: ${told.detail}` }));
        else this.#call("onRefused", told);
      },
    };
  }
}

/** @template T @param {Promise<T>} promise @returns {Promise<T>} it; a rejection that nobody looks at is none to complain of */
const quiet = (promise) => (promise.catch(() => {}), promise);

/** Several channels on one WebSocket. Over SSE they are those that it was made with. */
class Connection extends Following {
  /** @param {string} channel @param {any} [options] after, overflow, capacity, intervalMs @returns {Promise<any>} cursor and resume, once it is subscribed; EcoError */
  subscribe(channel, options = {}) {
    return quiet(this.#socket("subscribe").then((socket) => socket.subscribe({ ...options, channel })));
  }

  /** @param {string} channel @returns {Promise<void>} */
  unsubscribe(channel) {
    return quiet(this.#socket("unsubscribe").then((socket) => socket.unsubscribe(channel)));
  }

  /**
   * Waits for a connection. EcoError: what the server said, or `interrupted` when the connection ended before the answer: it may have been
   * published, and is not sent again.
   * @param {string} channel @param {object} data @param {{key?: string|null, transient?: boolean}} [options] @returns {Promise<string|null>} the event's cursor
   */
  publish(channel, data, { key = null, transient = false } = {}) {
    const told = { op: "publish", channel, data, key, transient };
    return quiet(this.#socket("publish").then((socket) => socket.call(told)).then(({ cursor }) => cursor));
  }

  /** @returns {Record<string, string|null>} each channel's cursor, to subscribe again with; over SSE there is but one, `cursor` */
  get cursors() {
    return Object.fromEntries([...(this.wire.channels ?? [])].map(([name, { cursor }]) => [name, cursor]));
  }

  async #socket(what) {
    if (!(this.wire instanceof Socket)) throw new EcoError("not_supported", `${what}: over WebSocket only`);
    return this.wire;
  }
}

/** @param {any} options @returns {any} of a subscription */
const subscription = ({ after, overflow, capacity, intervalMs }) => ({ after, overflow, capacity, intervalMs });

/** @param {"sse"|"websocket"} usual @param {any} options @returns {boolean} whether it goes over WebSocket. TypeError for what cannot be */
function overSocket(usual, { transport = usual, WebSocket = globalThis.WebSocket }) {
  if (transport !== "sse" && transport !== "websocket") throw new TypeError(`transport: sse or websocket, not ${transport}`);
  if (transport === "websocket" && !WebSocket) throw new TypeError("there is no WebSocket here: pass one as the option WebSocket");
  return transport === "websocket";
}

/** @param {any} options @param {any[]} channels @param {any} sink */
function socketTo({ base = BASE, WebSocket = globalThis.WebSocket }, channels, sink) {
  const url = new URL("ws", base);
  url.protocol = url.protocol.replace("http", "ws");
  return new Socket(url, WebSocket, channels, sink);
}

/** @param {URL} url @param {any} options @param {any} sink */
function streamFrom(url, options, sink) {
  const fetch = options.fetch ?? ((address, init) => globalThis.fetch(address, init));
  return new Sse(queried(url, options), fetch, sink);
}

/** @param {any} event @returns {boolean} whether a scan says nothing behind it */
const final = ({ step, status }) => status === "cancelled" || status === "failed" || (step === "reward" && status !== "processing");

/**
 * Follow a scan to its end.
 * @param {string|URL} task its id, or the address of its stream
 * @param {any} [options] see eco.d.ts
 * @returns {Following} TypeError for options that cannot be
 */
export function follow(task, options = {}) {
  if (!overSocket("sse", options)) {
    const url = task instanceof URL ? new URL(task) : new URL(`scan/${encodeURIComponent(task)}/stream`, options.base ?? BASE);
    return new Following(options, { wire: (sink) => streamFrom(url, options, sink) });
  }
  if (task instanceof URL) throw new TypeError("task: over WebSocket its id, not an address");
  const channels = [{ ...subscription(options), channel: `scan:${task}` }];
  return new Following(options, { wire: (sink) => socketTo(options, channels, sink), single: true, value: ({ data }) => data, final });
}

/**
 * Follow channels, and publish.
 * @param {any} [options] see eco.d.ts
 * @returns {Connection} TypeError for options that cannot be
 */
export function connect(options = {}) {
  const given = (options.channels ?? []).map((each) => (typeof each === "string" ? { channel: each } : each));
  if (overSocket("websocket", options)) {
    const channels = given.map((each) => ({ ...subscription(options), ...each }));
    return new Connection(options, { wire: (sink) => socketTo(options, channels, sink) });
  }
  if (!given.length || given.some((each) => Object.keys(each).length > 1)) throw new TypeError("channels: over SSE their names, at least one");
  const url = new URL("stream", options.base ?? BASE);
  for (const { channel } of given) url.searchParams.append("channel", channel);
  return new Connection(options, { wire: (sink) => streamFrom(url, options, sink) });
}
