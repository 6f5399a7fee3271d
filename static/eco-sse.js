/** Server-Sent Events over fetch: status, headers and comments can be seen, which an EventSource hides. */

import { bounded, EcoError, endOfBye, made, report } from "./eco-link.js";

const MOST = 8 * 1024 * 1024; // characters of an event
const BEAT_MS = 20_000; // so long without a byte: after a sleep the connection is taken for dead
const AGAIN = new Set([408, 425, 429]);
const PLAIN = /^[\x21-\x7e]+$/; // what a header can hold unchanged

/** The standard's event stream interpretation, for text that comes in any pieces. A byte order mark at the start is the decoder's business. */
export class EventStreamParser {
  /** @param {string} [lastId] of the connection before */
  constructor(lastId = "") {
    this.lastId = lastId;
    /** @type {number|null} */ this.retry = null;
    this.id = lastId;
    this.rest = "";
    this.data = "";
    this.event = "";
    this.afterCr = false;
  }

  /** @param {string} text @returns {Generator<{event: string, data: string, id: string}>} the events that end in it */
  *feed(text) {
    if (!text) return;
    let begin = this.afterCr && text[0] === "\n" ? 1 : 0;
    this.afterCr = text.endsWith("\r");
    const ends = /\r\n?|\n/g;
    ends.lastIndex = begin;
    for (let end; (end = ends.exec(text)); begin = ends.lastIndex) {
      const line = this.rest + text.slice(begin, end.index);
      this.rest = "";
      if (line) this.field(line);
      else if (this.dispatch()) yield this.taken();
    }
    this.rest += text.slice(begin);
    if (this.rest.length + this.data.length > MOST) throw new EcoError("too_long");
  }

  /** @param {string} line */
  field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.data += `${value}\n`;
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  /** @returns {boolean} whether there is an event */
  dispatch() {
    this.lastId = this.id;
    if (!this.data) this.event = "";
    return this.data !== "";
  }

  taken() {
    const block = { event: this.event || "message", data: this.data.slice(0, -1), id: this.lastId };
    this.data = this.event = "";
    return block;
  }
}

/** @param {Response} response @param {number} now @returns {number|null} Retry-After, given as seconds or date */
function retryAfter(response, now) {
  const header = response.headers.get("Retry-After");
  if (!header) return null;
  return bounded(/^\d+$/.test(header) ? Number(header) * 1000 : Math.max(0, Date.parse(header) - now));
}

/** @param {Response} response @param {number} now @returns {Promise<import("./eco-link.js").End|null>} why it is no stream */
async function refusal(response, now) {
  const { status } = response;
  if (status === 204) return made("complete", { status });
  if (status === 200) {
    const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
    return type === "text/event-stream" ? null : made("not_a_stream", { status, detail: type });
  }
  const problem = await response.json().catch(() => null);
  const detail = [problem?.code, problem?.detail ?? problem?.title].filter(Boolean).join(": ") || `status ${status}`;
  const passing = status >= 500 || AGAIN.has(status);
  return made(passing ? "unavailable" : "refused", { status, detail, waitMs: passing ? retryAfter(response, now) : null });
}

export class Sse {
  /** @param {URL} url @param {(url: string, init: RequestInit) => Promise<Response>} fetch @param {any} sink */
  constructor(url, fetch, sink) {
    this.url = url;
    this.fetch = fetch;
    this.sink = sink;
    this.lastId = "";
  }

  /** @returns {[string, RequestInit]} */
  request() {
    const url = new URL(this.url);
    /** @type {Record<string, string>} */ const headers = { Accept: "text/event-stream" };
    if (PLAIN.test(this.lastId)) headers["Last-Event-ID"] = this.lastId;
    else if (this.lastId) url.searchParams.set("after", this.lastId);
    return [url.href, { headers, cache: "no-store" }];
  }

  /** @param {import("./eco-link.js").Attempt} attempt @returns {Promise<import("./eco-link.js").End>} */
  async open(attempt) {
    const { bounds, clock } = attempt.link;
    const { signal } = attempt;
    attempt.expect(bounds.connectMs, "connect_timeout");
    const [url, init] = this.request();
    try {
      const response = await this.fetch(url, { ...init, signal });
      const refused = await refusal(response, clock.now());
      if (refused || !response.body) return attempt.result ?? refused ?? made("cut");
      attempt.expect(bounds.silentMs);
      attempt.check = (why) => {
        const heard = attempt.alarm ? attempt.alarm.gone : 0; // nothing is expected while the consumer is busy
        if (why === "online" || why === "restored" || heard >= BEAT_MS) attempt.finish(made("woken", { waitMs: 0 }));
      };
      return await this.read(attempt, response.body.getReader());
    } catch (reason) {
      return attempt.result ?? made("unreachable", { detail: String(reason) });
    }
  }

  /** @param {import("./eco-link.js").Attempt} attempt @param {ReadableStreamDefaultReader<Uint8Array>} reader */
  async read(attempt, reader) {
    const { link } = attempt;
    const decoder = new TextDecoder();
    const parser = new EventStreamParser(this.lastId);
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return attempt.result ?? made("cut");
        attempt.alarm?.again();
        for (const block of parser.feed(decoder.decode(value, { stream: true }))) {
          this.lastId = block.id;
          const said = this.take(attempt, block);
          if (said && "code" in said) return said;
          if (said) await this.consumed(attempt, said);
          if (attempt.result) return attempt.result;
        }
        this.lastId = parser.lastId;
        link.first = bounded(parser.retry) ?? link.first;
      }
    } catch (reason) {
      return attempt.result ?? made(reason instanceof EcoError ? reason.code : "cut", { detail: String(reason) });
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** Nothing more is read until the consumer is ready: so the server's rule speaks, and not memory. */
  async consumed(attempt, consumer) {
    attempt.expect(null);
    await attempt.link.until(consumer);
    attempt.expect(attempt.link.bounds.silentMs);
  }

  /** @returns {import("./eco-link.js").End|PromiseLike<void>|undefined} an end, or what to wait for */
  take(attempt, { event, data, id }) {
    let told;
    try {
      told = JSON.parse(data);
    } catch (error) {
      return void report(error); // asking for it again would bring the same
    }
    if (event === "eco.bye") {
      this.sink.bye(told);
      return endOfBye(told);
    }
    attempt.opened();
    if (attempt.result) return attempt.result;
    if (event === "eco.open") this.sink.opened(told, id);
    else if (event === "eco.gap") this.sink.gap(told, id);
    else if (event === "message") return this.sink.event(told, id);
    return undefined;
  }
}
