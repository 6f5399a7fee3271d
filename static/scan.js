/** The server's scan API: start a scan, follow it live, fall back to asking. */

import * as eco from "./eco.js";

/** Where the server is mounted; right below any prefix because this file lies in static/. */
const BASE = new URL("..", import.meta.url);

const BROKEN_MS = 12_000; // a stream that does not open, or stays broken: ask instead
const LOST_MS = 120_000; // nothing answers at all: give up
const PROBE_MS = 8_000;
const AGAIN_MS = 4000; // somebody looks at the page: the longest wait before a stream is tried again
const POSTS = 6; // attempts before a busy server becomes an error

/**
 * @typedef {{blob?: Blob, type?: string, category?: string, name?: string, tags?: string[], after?: string, revises?: string, lang: string, key: string}} Ask
 *   a photo or a category; `after`: the scan whose "unsure" the category answers; `revises`: the scan that this one asks again; `key` makes repeating it safe
 * @typedef {{task_id: string, stream: URL, result: URL}} Task
 * @typedef {{step: string, status: string, progress: number, seq?: number, bin?: string|null, result?: any, reward?: any, error?: any}} StepEvent
 * @typedef {"live"|"reconnecting"|"polling"} Link
 * @typedef {{onEvent: (event: StepEvent) => void, onLink: (link: Link) => void}} Watcher
 */

/** What went wrong: the server's problem+json, or `network` when nothing answered. */
export class Problem extends Error {
  /** @param {{status?: number, code?: string, detail?: string, retryAfter?: number|null}} parts retryAfter in seconds */
  constructor({ status = 0, code = "network", detail = "", retryAfter = null }) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }

  /** Nothing answered. */
  get lost() {
    return this.status === 0 && this.code === "network";
  }

  get busy() {
    return (this.status === 503 && this.code !== "storage") || this.status === 429;
  }
}

/** @returns {string} a fresh Idempotency-Key (randomUUID would need a secure context) */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** @param {Response} response @returns {number|null} Retry-After in seconds, given as number or date */
function retryAfter(response) {
  const header = response.headers.get("Retry-After");
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/** @param {Response} response @returns {Promise<Problem>} */
async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  if ((response.status === 502 || response.status === 504) && !body.code) return new Problem({}); // a proxy whose server is gone
  const { code = "", detail = body.title ?? "" } = body;
  return new Problem({ status: response.status, code, detail, retryAfter: retryAfter(response) });
}

/**
 * @param {string|URL} path
 * @param {RequestInit} init
 * @returns {Promise<Response>} any 2xx
 * @throws {Problem}
 */
async function request(path, init) {
  let response;
  try {
    response = await fetch(new URL(path, BASE), { cache: "no-store", ...init });
  } catch (reason) {
    if (init.signal?.aborted) throw reason;
    throw new Problem({});
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** @param {Ask} ask @param {AbortSignal} signal @returns {Promise<Task>} */
async function submit(ask, signal) {
  const headers = { "Idempotency-Key": ask.key };
  const { blob, type, category, tags, after, revises, lang } = ask;
  const said = { category, lang, ...(tags?.length ? { tags } : {}), ...(after ? { after_scan: after } : revises ? { revises } : {}) };
  const response = blob
    ? await request(`scan/classify?lang=${lang}`, { method: "POST", body: blob, headers: { ...headers, "Content-Type": type ?? blob.type }, signal })
    : await request("scan/classify", { method: "POST", body: JSON.stringify(said), headers: { ...headers, "Content-Type": "application/json" }, signal });
  const task = await response.json();
  const at = (url) => new URL(url, response.url);
  return { task_id: task.task_id, stream: at(task.stream_url), result: at(task.result_url) };
}

/**
 * Start a scan; a busy server is asked again after the time it names.
 * @param {Ask} ask
 * @param {AbortSignal} signal
 * @param {(seconds: number, signal: AbortSignal) => Promise<void>} pause waits, and shows that it does
 * @returns {Promise<Task>}
 * @throws {Problem}
 */
export async function start(ask, signal, pause) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await submit(ask, signal);
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.busy || attempt === POSTS) throw problem;
      await pause(Math.min(60, Math.max(1, Math.ceil(problem.retryAfter ?? 2 ** attempt))), signal);
    }
  }
}

/** @param {StepEvent} event @returns {boolean} whether the scan ended without an answer; a reward may fail alone */
const broke = ({ step, status }) => step !== "reward" && (status === "failed" || status === "cancelled");

/** @param {StepEvent} event @returns {Problem} what /result would say */
const failureOf = ({ status, error }) => new Problem({ status: 409, code: error?.code ?? status, detail: error?.detail });

/**
 * Watch the live stream, which comes back by itself and resumes behind the last event.
 * @param {Task} task @param {Watcher} watcher @param {AbortSignal} signal
 * @returns {Promise<boolean>} true: seen to its end; false: the stream gave up
 * @throws {Problem} when a step failed
 */
async function listen(task, watcher, signal) {
  let seen = 0;
  let timer = 0;
  let whole = false;
  /** @type {Problem|null} */ let failure = null;
  const onEvent = (event) => {
    if (event.seq && event.seq <= seen) return;
    seen = event.seq ?? seen;
    watcher.onEvent(event);
    failure = broke(event) ? failureOf(event) : null;
    whole = event.step === "reward";
    if (failure || whole) stream.close();
  };
  const onState = (state, { end }) => {
    if (state === "open") {
      clearTimeout(timer);
      timer = 0;
      watcher.onLink("live");
    } else if (state === "waiting") {
      if (end.code === "unavailable") return stream.close(); // it answers, but not with a stream
      watcher.onLink("reconnecting");
    }
    if (state !== "open") timer ||= setTimeout(() => stream.close(), BROKEN_MS);
  };
  const stream = eco.follow(task.stream, { signal, onEvent, onState, mostMs: AGAIN_MS });
  await stream.ended;
  clearTimeout(timer);
  signal.throwIfAborted();
  if (failure) throw failure;
  return whole;
}

/**
 * Ask for the result until it is there.
 * @param {Task} task @param {Watcher} watcher @param {AbortSignal} signal
 * @throws {Problem}
 */
async function poll(task, watcher, signal) {
  const lost = performance.now() + LOST_MS;
  for (;;) {
    let wait = 1 + Math.random();
    try {
      const response = await request(task.result, { signal });
      if (response.status === 200) return await settle(await response.json(), task, watcher, signal);
      watcher.onLink("polling");
      wait = retryAfter(response) ?? wait;
    } catch (problem) {
      const passing = problem instanceof Problem && (problem.status === 0 || problem.status >= 500 || problem.busy);
      if (!passing || performance.now() > lost) throw problem;
      watcher.onLink("reconnecting");
      wait = problem.retryAfter ?? wait;
    }
    await sleep(Math.min(30, Math.max(0.5, wait)) * 1000, signal);
  }
}

/** Tell the watcher what the stream would have told. */
async function settle(result, task, watcher, signal) {
  watcher.onLink("live");
  watcher.onEvent({ step: "answer", status: "completed", progress: 100, result });
  let reward = null;
  for (let attempt = 0; attempt < 5; attempt++) {
    const state = await request(`scan/${encodeURIComponent(task.task_id)}`, { signal }).then((r) => r.json()).catch(() => ({ step: "reward" }));
    signal.throwIfAborted();
    reward = state.reward ?? null;
    if (reward || state.step === "reward") break;
    await sleep(1000, signal);
  }
  watcher.onEvent({ step: "reward", status: "completed", progress: 100, reward });
}

/**
 * Follow a scan to its end, live when possible.
 * @param {Task} task @param {Watcher} watcher @param {AbortSignal} signal
 * @throws {Problem}
 */
export async function follow(task, watcher, signal) {
  if (await listen(task, watcher, signal)) return;
  await poll(task, watcher, signal);
}

/** Tell the server that nobody waits any more; it may not listen. @param {Task} task */
export function cancel(task) {
  request(`scan/${encodeURIComponent(task.task_id)}`, { method: "DELETE" }).catch(() => {});
}

/** @param {string} lang @returns {Promise<import("./state.js").Catalog>} all there is to choose from @throws {Problem} */
export async function catalog(lang) {
  const response = await request(`scan/categories?lang=${lang}`, {});
  return await response.json();
}

/**
 * What this place calls itself; also tells whether the server can be reached.
 * @param {string} lang
 * @returns {Promise<{name?: string|null, texts?: {title?: string, lead?: string, notice?: string},
 *   bins?: {id: string, name: string, color: string, shape: string, here: boolean}[]}>} empty where it has nothing to say
 * @throws {Problem} when nothing answers
 */
export async function site(lang) {
  try {
    return await (await request(`site?lang=${lang}`, { signal: AbortSignal.timeout(PROBE_MS) })).json();
  } catch (problem) {
    if (problem instanceof Problem && problem.status > 0 && problem.status < 500) return {};
    throw problem instanceof Problem ? problem : new Problem({});
  }
}
