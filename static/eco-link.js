/** What both transports of eco.js share: how connections end, how long to wait, and waking up. */

/** Milliseconds; each may be given as an option of `follow` and `connect`. */
export const BOUNDS = Object.freeze({
  firstMs: 1000, // the longest first wait; each failure doubles it
  mostMs: 30_000, // the longest wait after any number of failures
  connectMs: 10_000, // for the answer's head
  silentMs: 40_000, // without a byte; the server breaks its silence after 15 s
  stableMs: 10_000, // a connection that lived so long makes the waits start over
});

const FLOOR_MS = 100; // what the server asks for, at least: 0 would be a busy loop
const LONGEST_MS = 3_600_000; // and at most: timers overflow at 24 days
const TICK_MS = 5000; // the clock is looked at so often
const JUMP_MS = 3000; // so much too late: the machine slept

/**
 * How a connection ends, whether both sides knew of it, and whether it is opened again. A bye's own `reconnect` wins over this table.
 * @type {Readonly<Record<string, {wasClean: boolean, reconnect: boolean}>>}
 */
export const ENDS = Object.freeze({
  complete: { wasClean: true, reconnect: false }, // SSE 204, bye complete, close code 1000
  not_allowed: { wasClean: true, reconnect: false }, // bye, close code 1008
  refused: { wasClean: true, reconnect: false }, // status 4xx, or an error in answer to the subscription
  not_a_stream: { wasClean: true, reconnect: false }, // status 200 with another content type
  closed: { wasClean: true, reconnect: false }, // close()
  aborted: { wasClean: true, reconnect: false }, // the signal
  going_away: { wasClean: true, reconnect: true }, // bye, close code 1001
  slow_consumer: { wasClean: true, reconnect: true }, // bye, close code 4008
  too_many: { wasClean: true, reconnect: true }, // bye, close code 4013
  busy: { wasClean: true, reconnect: true }, // SSE 200 and a bye
  unavailable: { wasClean: true, reconnect: true }, // status 408, 425, 429, 5xx
  slow_reader: { wasClean: true, reconnect: true }, // WebSocket: this side could not keep up, and left to come back with its cursors
  cut: { wasClean: false, reconnect: true }, // an end without a bye
  unreachable: { wasClean: false, reconnect: true }, // no answer; a refused WebSocket handshake, whose status a page is not told
  connect_timeout: { wasClean: false, reconnect: true },
  silent: { wasClean: false, reconnect: true }, // nothing for silentMs
  woken: { wasClean: false, reconnect: true }, // found dead, or likely so, after a sleep or a change of network
  too_long: { wasClean: false, reconnect: true }, // an event that would not fit into memory's bound
});

/** @typedef {{code: string, wasClean: boolean, reconnect: boolean, waitMs: number|null, status: number|null, detail: string}} End */

/** @param {string} code @param {Partial<End>} [more] @returns {End} */
export const made = (code, more = {}) => ({ code, ...(ENDS[code] ?? ENDS.cut), waitMs: null, status: null, detail: "", ...more });

/** @param {any} bye what the server said at last @returns {End} */
export const endOfBye = (bye) =>
  made(String(bye.code), { wasClean: true, reconnect: bye.reconnect !== false, waitMs: bounded(bye.retry_ms), detail: String(bye.reason ?? "") });

/** @param {unknown} ms what the server asks for @returns {number|null} */
export const bounded = (ms) => (typeof ms === "number" && ms >= 0 ? Math.min(LONGEST_MS, Math.max(FLOOR_MS, ms)) : null);

/** What the server refused, or what became of a call. */
export class EcoError extends Error {
  /** @param {string} code @param {string} [detail] @param {number|null} [status] */
  constructor(code, detail = "", status = null) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "EcoError";
    this.code = code;
    this.detail = detail;
    this.status = status;
  }
}

/** Full jitter: anything from 0 to a bound that doubles. @param {number} failures from 1 @param {number} first @param {number} most @param {() => number} random */
export const jittered = (failures, first, most, random) => Math.floor(random() * Math.min(most, first * 2 ** Math.min(failures - 1, 30)));

/** An error of a callback is told as one of an event listener would be. @param {unknown} error */
export const report = (error) => (globalThis.reportError ?? console.error)(error);

/** @typedef {{now: () => number, setTimeout: (call: () => void, ms: number) => any, clearTimeout: (timer: any) => void}} Clock */

/** @type {Clock} by the wall, which goes on while the machine sleeps; timers need not */
export const CLOCK = {
  now: () => Date.now(),
  setTimeout: (call, ms) => setTimeout(call, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** Rings after some time, in which it looks at the clock now and then: time slept counts, a clock put back does no harm. */
export class Alarm {
  /** @param {Clock} clock @param {number} ms @param {() => void} ring @param {() => void} jumped when the machine slept, but not long enough to ring */
  constructor(clock, ms, ring, jumped) {
    this.clock = clock;
    this.ms = this.left = ms;
    this.ring = ring;
    this.jumped = jumped;
    this.mark = clock.now();
    this.touched = false;
    this.arm();
  }

  arm() {
    const asked = Math.min(this.left, TICK_MS);
    const began = (this.mark = this.clock.now());
    this.touched = false;
    this.timer = this.clock.setTimeout(() => {
      const now = this.clock.now();
      this.left -= Math.max(now - this.mark, this.touched ? 0 : asked);
      if (this.left <= 0) return this.ring();
      this.arm();
      if (now - began - asked > JUMP_MS) this.jumped();
    }, asked);
  }

  /** The whole time once more. */
  again() {
    this.left = this.ms;
    this.mark = this.clock.now();
    this.touched = true;
  }

  /** @returns {number} since it was set, or set again */
  get gone() {
    return this.ms - this.left + Math.max(0, this.clock.now() - this.mark);
  }

  cancel() {
    this.clock.clearTimeout(this.timer);
  }
}

/** One connection, from its opening to its end. */
export class Attempt {
  /** @param {Link} link */
  constructor(link) {
    this.link = link;
    this.controller = new AbortController();
    this.signal = this.controller.signal;
    /** @type {End|null} */ this.result = null;
    /** @type {Alarm|null} */ this.alarm = null;
    /** @type {number|null} */ this.openedAt = null;
    /** @type {(why: string) => void} looks whether the connection lives */ this.check = () => {};
  }

  /** @param {number|null} ms within which something must be heard; null: nothing need be @param {string|(() => void)} [otherwise] how it ends, or what is done */
  expect(ms, otherwise = "silent") {
    this.alarm?.cancel();
    const ring = typeof otherwise === "string" ? () => this.finish(made(otherwise)) : otherwise;
    this.alarm = ms === null || this.result ? null : new Alarm(this.link.clock, ms, ring, () => this.link.wake("slept"));
  }

  opened() {
    if (this.openedAt !== null || this.result) return;
    this.openedAt = this.link.clock.now();
    this.link.turn("open");
  }

  /** The first end counts. @param {End} end */
  finish(end) {
    this.result ??= end;
    this.alarm?.cancel();
    this.alarm = null;
    this.controller.abort();
  }
}

/** A connection that is opened again whenever it ends and the server does not forbid it. */
export class Link {
  /** @param {(attempt: Attempt) => Promise<End>} open @param {any} options @param {(state: string, detail: any) => void} onState @param {(end: End) => void} onEnd */
  constructor(open, options, onState, onEnd) {
    const given = Object.fromEntries(Object.keys(BOUNDS).filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
    this.bounds = { ...BOUNDS, ...given };
    this.clock = options.clock ?? CLOCK;
    this.random = options.random ?? Math.random;
    /** @type {number} */ this.first = this.bounds.firstMs;
    /** @type {import("./eco.js").State} */ this.state = "connecting";
    /** @type {End|null} */ this.end = null;
    /** @type {Attempt|null} */ this.attempt = null;
    /** @type {((why: string) => void)|null} */ this.resume = null;
    /** @type {() => void} */ this.release = () => {};
    this.open = open;
    this.onState = onState;
    this.onEnd = onEnd;
    /** @type {AbortSignal|undefined} */ this.signal = options.signal;
    this.deafen = this.listen();
    queueMicrotask(() => void this.run()); // not before the caller holds what it asked for
  }

  /** @returns {() => void} stops listening */
  listen() {
    /** @type {[any, string, (event: any) => void][]} */ const wanted = [
      [this.signal, "abort", () => this.finish(made("aborted"))],
      [globalThis, "online", () => this.wake("online")],
      [globalThis, "pageshow", (event) => event.persisted && this.wake("restored")],
      [globalThis.document, "visibilitychange", () => !globalThis.document.hidden && this.wake("visible")],
    ];
    const heard = wanted.filter(([target]) => typeof target?.addEventListener === "function");
    for (const [target, name, call] of heard) target.addEventListener(name, call);
    return () => heard.forEach(([target, name, call]) => target.removeEventListener(name, call));
  }

  async run() {
    if (this.signal?.aborted) this.finish(made("aborted"));
    for (let failures = 0; !this.end; ) {
      this.turn("connecting", { failures });
      if (this.end) return;
      const attempt = (this.attempt = new Attempt(this));
      const end = await this.open(attempt).catch((error) => (report(error), made("cut")));
      attempt.finish(end);
      if (this.end) return;
      if (!end.reconnect) return this.finish(end);
      const lived = attempt.openedAt === null ? 0 : this.clock.now() - attempt.openedAt;
      failures = lived >= this.bounds.stableMs ? 1 : failures + 1;
      const waitMs = end.waitMs ?? jittered(failures, this.first, this.bounds.mostMs, this.random);
      this.turn("waiting", { failures, waitMs, end });
      await this.pause(waitMs, end.waitMs !== null);
    }
  }

  /** @param {number} ms @param {boolean} asked by the server: waking up does not shorten it @returns {Promise<void>} */
  pause(ms, asked) {
    if (this.end) return Promise.resolve();
    return new Promise((resolve) => {
      const go = () => (alarm.cancel(), (this.resume = null), resolve());
      this.resume = (why) => (why === "end" || !asked) && go();
      const alarm = new Alarm(this.clock, ms, go, () => this.wake("slept"));
    });
  }

  /** Something changed: look at once. @param {string} why */
  wake(why) {
    if (this.resume) this.resume(why);
    else if (this.state === "open") this.attempt?.check(why);
  }

  /** @param {import("./eco.js").State} state @param {any} [detail] */
  turn(state, detail = {}) {
    if (this.end && state !== "closed") return;
    this.state = state;
    this.onState(state, detail);
  }

  /** It is over. Harmless when repeated. @param {End} end */
  finish(end) {
    if (this.end) return;
    this.end = end;
    this.deafen();
    this.attempt?.finish(end);
    this.resume?.("end");
    this.release();
    this.turn("closed", { end });
    this.onEnd(end);
  }

  /** Waits for one consumer at a time, unless it is over before. @param {PromiseLike<unknown>} consumer @returns {Promise<void>} */
  until(consumer) {
    return new Promise((resolve) => {
      this.release = () => resolve();
      if (this.end) resolve();
      consumer.then(this.release, this.release);
    });
  }
}
