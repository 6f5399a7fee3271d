/** WebSocket: several channels on one connection, publishing, and none of the six connections that HTTP/1.1 has for a host. */

import { EcoError, endOfBye, made, report } from "./eco-link.js";

const PONG_MS = 10_000; // for the answer to a ping
const INBOX = 256; // messages that wait for the consumer; more: leave, and come back with the cursors
const CALLS = 256; // calls that wait for their answer
const MOST = 128 * 1024; // bytes of a message; the server takes no more
const CLOSES = new Map([[1000, "complete"], [1001, "going_away"], [1008, "not_allowed"], [4008, "slow_consumer"], [4013, "too_many"], [1013, "busy"]]);
const PASSING = new Set(["storage", "busy"]); // of errors in answer to a subscription

/** @typedef {{channel: string, after?: string|null, overflow?: string, capacity?: number, intervalMs?: number}} Asked */

/** A channel that is wanted: what was asked, where it stands, and who waits to hear that it is subscribed. */
class Wanted {
  /** @param {Asked} asked */
  constructor(asked) {
    this.asked = asked;
    this.cursor = asked.after ?? null;
    /** @type {{resolve: (told: any) => void, reject: (error: EcoError) => void}[]} */ this.waiting = [];
  }

  get op() {
    const { channel, overflow, capacity, intervalMs } = this.asked;
    return { op: "subscribe", channel, after: this.cursor, overflow, capacity, interval_ms: intervalMs };
  }
}

export class Socket {
  /** @param {URL} url @param {any} WebSocket @param {Asked[]} channels @param {any} sink */
  constructor(url, WebSocket, channels, sink) {
    this.url = url.href;
    this.WebSocket = WebSocket;
    this.sink = sink;
    this.channels = new Map(channels.map((asked) => [asked.channel, new Wanted(asked)]));
    /** @type {any} */ this.socket = null; // while it is open
    this.number = 0;
    /** @type {Map<number, any>} calls that were sent */ this.calls = new Map();
    /** @type {any[]} calls that wait for a connection */ this.early = [];
    /** @type {string[]} */ this.inbox = [];
    /** @type {Promise<void>|null} */ this.draining = null;
    this.busy = false; // a round is under way
    this.asking = false; // whether somebody is still there
    this.gone = false;
  }

  /** @param {import("./eco-link.js").Attempt} attempt @returns {Promise<import("./eco-link.js").End>} */
  async open(attempt) {
    this.inbox = [];
    let socket;
    let last = null;
    try {
      socket = new this.WebSocket(this.url);
    } catch (error) {
      return made("refused", { detail: String(error) }); // an address or a mixture of schemes that will never do
    }
    attempt.expect(attempt.link.bounds.connectMs, "connect_timeout");
    attempt.check = () => this.ask(attempt);
    await new Promise((resolve) => {
      attempt.signal.addEventListener("abort", resolve, { once: true });
      socket.onopen = () => this.begin(attempt, socket);
      socket.onmessage = (event) => this.arrive(attempt, event.data);
      socket.onclose = (event) => (attempt.expect(null), (last = event), resolve(event));
    });
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.socket = null;
    socket.close(1000); // without waiting: a dead connection would not answer
    await this.draining;
    this.lose();
    return attempt.result ?? this.endOf(last, attempt.openedAt !== null);
  }

  /** @param {CloseEvent} event @param {boolean} opened @returns {import("./eco-link.js").End} */
  endOf({ code, reason }, opened) {
    return made(CLOSES.get(code) ?? (opened ? "cut" : "unreachable"), { status: code, detail: reason });
  }

  begin(attempt, socket) {
    this.socket = socket;
    this.listen(attempt);
    for (const wanted of this.channels.values()) this.subscribeNow(wanted);
    for (const call of this.early.splice(0)) this.transmit(call);
    attempt.opened();
  }

  listen(attempt) {
    const { silentMs } = attempt.link.bounds;
    this.asking = false;
    attempt.expect(Math.max(0, silentMs - PONG_MS), () => this.ask(attempt));
  }

  /** Whether somebody is still there. */
  ask(attempt) {
    if (this.asking || !this.socket) return;
    this.asking = true;
    this.send({ op: "ping", id: ++this.number });
    attempt.expect(PONG_MS, "silent");
  }

  /** @param {import("./eco-link.js").Attempt} attempt @param {unknown} data */
  arrive(attempt, data) {
    if (this.asking) this.listen(attempt);
    else attempt.alarm?.again();
    if (typeof data !== "string") return; // JSON was asked for
    this.inbox.push(data);
    if (this.inbox.length > INBOX) return attempt.finish(made("slow_reader", { waitMs: 0 }));
    if (this.busy) return;
    this.busy = true; // until there is nothing left, and not a moment longer: what comes then needs another round
    this.draining = this.drain(attempt);
  }

  async drain(attempt) {
    try {
      for (let text; !attempt.link.end && (text = this.inbox.shift()) !== undefined; ) {
        try {
          const consumer = this.handle(attempt, JSON.parse(text));
          if (consumer) await attempt.link.until(consumer);
        } catch (error) {
          report(error); // what is no JSON would be none the next time either
        }
      }
    } finally {
      this.busy = false;
    }
  }

  /** @returns {PromiseLike<any>|undefined} what to wait for before the next */
  handle(attempt, told) {
    const wanted = this.channels.get(told?.channel);
    switch (told?.op) {
      case "event":
        if (!wanted) return undefined; // it was on its way when it was unsubscribed
        wanted.cursor = told.cursor ?? wanted.cursor;
        return this.sink.event({ channel: told.channel, cursor: told.cursor, data: told.data }, wanted.cursor);
      case "gap":
        return void (wanted && this.sink.gap(told, wanted.cursor)); // events before its end may still come: the cursor stays
      case "bye":
        this.sink.bye(told);
        return void attempt.finish(endOfBye(told));
      default:
        return void this.answer(attempt, told, wanted);
    }
  }

  answer(attempt, told, wanted) {
    const call = this.calls.get(told?.id);
    this.calls.delete(told?.id);
    if (told?.op === "error") {
      const error = new EcoError(told.code, told.detail);
      if (!call) report(error);
      else if (call.op === "subscribe" && PASSING.has(told.code)) attempt.finish(made("unavailable", { detail: error.message }));
      else if (call.op === "subscribe") this.refuse(call, error);
      else call.reject(error);
    } else if (told?.op === "subscribed" && wanted) {
      wanted.cursor = told.cursor ?? wanted.cursor;
      for (const each of wanted.waiting.splice(0)) each.resolve(told);
      this.sink.opened(told, told.cursor);
    } else if (call?.resolve) {
      call.resolve(told);
    }
  }

  /** @param {any} call the subscription @param {EcoError} error */
  refuse({ channel, wanted }, error) {
    if (this.channels.get(channel) !== wanted) return; // it is not wanted any more, or wanted anew
    this.channels.delete(channel);
    for (const each of wanted.waiting.splice(0)) each.reject(error);
    this.sink.refused({ channel, code: error.code, detail: error.detail });
  }

  send(told) {
    this.socket?.send(JSON.stringify(told));
  }

  subscribeNow(wanted) {
    const id = ++this.number;
    this.calls.set(id, { op: "subscribe", channel: wanted.asked.channel, wanted });
    this.send({ ...wanted.op, id });
  }

  /** @param {Asked} asked @returns {Promise<any>} */
  async subscribe(asked) {
    this.mustGoOn();
    const wanted = new Wanted(asked);
    const before = this.channels.get(asked.channel);
    for (const each of before?.waiting ?? []) each.reject(new EcoError("replaced", "subscribed again with other options"));
    this.channels.set(asked.channel, wanted);
    if (this.socket && before) this.transmit({ op: "unsubscribe", resolve() {}, reject() {}, told: { op: "unsubscribe", channel: asked.channel } });
    if (this.socket) this.subscribeNow(wanted);
    return new Promise((resolve, reject) => wanted.waiting.push({ resolve, reject }));
  }

  /** @param {string} channel @returns {Promise<any>} */
  async unsubscribe(channel) {
    for (const each of this.channels.get(channel)?.waiting ?? []) each.reject(new EcoError("unsubscribed"));
    if (!this.channels.delete(channel) || !this.socket) return;
    await this.call({ op: "unsubscribe", channel }).catch((error) => {
      if (error.code !== "not_subscribed") throw error; // it ended by itself before
    });
  }

  /** @param {any} told what to send @returns {Promise<any>} the answer; EcoError */
  async call(told) {
    this.mustGoOn();
    const text = JSON.stringify(told);
    if (text.length * 3 > MOST && new TextEncoder().encode(text).length > MOST - 32) throw new EcoError("too_large", "a message has at most 128 KiB");
    if (this.calls.size + this.early.length >= CALLS) throw new EcoError("too_many_waiting", `${CALLS} calls wait for their answer`);
    return new Promise((resolve, reject) => {
      const call = { resolve, reject, op: told.op, told };
      if (this.socket) this.transmit(call);
      else this.early.push(call);
    });
  }

  mustGoOn() {
    if (this.gone) throw new EcoError("closed");
  }

  transmit(call) {
    const id = ++this.number;
    this.calls.set(id, call);
    this.send({ ...call.told, id });
  }

  /** The connection is gone: what was sent and not answered may have happened or not. */
  lose() {
    for (const call of this.calls.values()) {
      if (call.op === "unsubscribe") call.resolve();
      else if (call.op !== "subscribe") call.reject(new EcoError("interrupted", "the connection ended before the answer; it may have been done"));
    }
    this.calls.clear();
  }

  /** It is over: nobody waits any more. */
  close() {
    this.gone = true;
    this.lose();
    const waiting = [...this.channels.values()].flatMap((wanted) => wanted.waiting.splice(0));
    for (const each of [...this.early.splice(0), ...waiting]) each.reject(new EcoError("closed"));
  }
}
