/** In the page of a test: a clock that only the test moves, and a record of what eco.js tells. */

import * as eco from "/static/eco.js";

/** Timers follow `steady`, which stands still while the machine sleeps; `wall` does not. */
class VirtualClock {
  wall = 1_700_000_000_000;
  steady = 0;
  timers = new Map();
  number = 0;

  now = () => this.wall;
  setTimeout = (call, ms) => (this.timers.set(++this.number, { call, due: this.steady + ms }), this.number);
  clearTimeout = (timer) => void this.timers.delete(timer);

  /** Time goes by, and timers ring in their order. */
  async advance(ms) {
    const until = this.steady + ms;
    for (;;) {
      const [next] = [...this.timers].filter(([, { due }]) => due <= until).sort(([a, x], [b, y]) => x.due - y.due || a - b);
      if (!next) break;
      this.timers.delete(next[0]);
      this.pass(Math.max(0, next[1].due - this.steady));
      next[1].call();
      await new Promise((resolve) => queueMicrotask(resolve));
    }
    this.pass(until - this.steady);
  }

  pass(ms) {
    this.steady += ms;
    this.wall += ms;
  }

  /** The machine sleeps: it is later, and no timer knows. */
  sleep(ms) {
    this.wall += ms;
  }
}

const clock = new VirtualClock();
const complaints = [];
window.addEventListener("unhandledrejection", (event) => complaints.push(`unhandled: ${event.reason}`));
window.addEventListener("error", (event) => complaints.push(event.message));

/** What listens for a change of the network or of the page's being seen. */
const listeners = new Set();
const WAKES = ["online", "pageshow", "visibilitychange"];
for (const target of [window, document]) {
  target.addEventListener = (name, ...given) => {
    if (WAKES.includes(name)) listeners.add(given[0]);
    EventTarget.prototype.addEventListener.call(target, name, ...given);
  };
  target.removeEventListener = (name, ...given) => {
    listeners.delete(given[0]);
    EventTarget.prototype.removeEventListener.call(target, name, ...given);
  };
}

/**
 * Follow or connect, and note all that is told. With `slow` each event is held until `next` of the record is called.
 * @returns the record, whose `stream` it is
 */
function begin(kind, what, { slow = false, ...options } = {}) {
  const seen = { states: [], waits: [], events: [], cursors: [], gaps: [], opens: [], byes: [], refused: [], ends: [], end: null };
  const noting = {
    clock,
    random: () => 0.5,
    onEvent(event, cursor) {
      seen.events.push(event);
      seen.cursors.push(cursor);
      return slow ? new Promise((resolve) => (seen.next = resolve)) : undefined;
    },
    onGap: (gap) => seen.gaps.push(gap),
    onOpen: (open) => seen.opens.push(open),
    onBye: (bye) => seen.byes.push(bye),
    onRefused: (refused) => seen.refused.push(refused),
    onState(state, detail) {
      seen.states.push(state);
      if (state === "waiting") seen.waits.push(detail.waitMs);
      if (detail.end) seen.ends.push(detail.end.code);
    },
    ...options,
  };
  seen.stream = kind === "follow" ? eco.follow(what, noting) : eco.connect({ channels: what, ...noting });
  void seen.stream.ended.then((end) => (seen.end = end));
  return seen;
}

/** @returns the first waits of so many clients without a network, once all wait */
async function scattered(count, options) {
  const fetch = () => Promise.reject(new TypeError("no network"));
  const all = Array.from({ length: count }, () => begin("follow", "x", { fetch, ...options }));
  while (!all.every(({ waits }) => waits.length)) await new Promise((resolve) => setTimeout(resolve));
  for (const { stream } of all) stream.close();
  return all.map(({ waits }) => waits[0]);
}

Object.assign(window, { eco, clock, complaints, listeners, begin, scattered, ready: true });
