/** One question at a time: from a photo or a choice to its answer, and what is asked about that. */

import { catalog } from "./catalog.js";
import { byId } from "./dom.js";
import { lang, t } from "./i18n.js";
import { forgetHistory, forgetScan, keepScan, keptScan, record } from "./memory.js";
import { dataUrl, prepare, release, revived, thumbnail, Unusable } from "./photo.js";
import { cancel, follow, newKey, Problem, start } from "./scan.js";
import { afresh, state } from "./state.js";
import { rewardCard, titleOf } from "./answer.js";
import { draw, drawLink, drawNow, say, steps } from "./view.js";

/** @typedef {import("./state.js").Ask} Ask */
/** @typedef {import("./state.js").Task} Task */
/** @typedef {import("./state.js").Phase} Phase */

/** Called after the page went to another phase. @type {{moved: (phase: Phase) => void}} */
export const hooks = { moved: () => {} };

export const render = () => draw(acts);

/** @param {Phase} phase */
function go(phase) {
  const moved = state.phase !== phase;
  state.phase = phase;
  render();
  if (moved) hooks.moved(phase);
}

/** @param {unknown} problem @returns {Problem} */
const asProblem = (problem) => (problem instanceof Problem ? problem : new Problem({ status: 500, code: "page", detail: String(problem) }));

/** Get what can be chosen, in the page's language, and draw it where it belongs. @returns {Promise<void>} @throws {Problem} */
export async function learn() {
  const wanted = lang();
  const got = await catalog(wanted);
  if (wanted !== lang() || state.catalog === got) return;
  state.catalog = got;
  if (state.phase !== "waiting" && state.phase !== "busy") render();
}

/** Keep what a reload of the page needs to go on. @param {{ask: Ask|null, task: Task|null}} [what] is followed */
export async function keepForReload(what = state) {
  const { running, photo, visit, seen } = state;
  const { ask, task } = what;
  const picture = photo?.blob ? await (photo.data ??= dataUrl(photo.blob)) : null;
  if (running !== state.running || running.signal.aborted || !ask || (what === state && task !== state.task)) return;
  keepScan({ visit, ask: { ...ask, blob: undefined, photo: Boolean(ask.blob) }, task, picture, seen });
}

/** Put the answer into the history; a station has none. */
export async function note() {
  const { visit, photo, result, ask, reward, kiosk, past, seen } = state;
  const rule = result?.rule;
  if (kiosk || !ask || !result || result.classification.unsure) return;
  const thumb = past ? past.thumb : photo ? await (photo.thumb ??= thumbnail(photo.url)) : null;
  const { category, name } = result.classification;
  const again = { category: ask.category ?? category, name, tags: ask.tags ?? [], lang: result.answer.lang, key: newKey() };
  if (state.visit !== visit || state.result !== result) return; // another answer has taken its place
  record({ id: visit, at: Date.now(), name: name ?? "", bin: rule ? titleOf(result) : "", color: rule?.bin_color ?? null, shape: rule?.bin_shape ?? null,
    points: reward?.points ?? null, thumb, ask: again, result: { ...result, seen }, reward });
  byId("to-history").hidden = false;
}

/** @param {import("./scan.js").StepEvent} event */
function onEvent(event) {
  say(steps.apply(event));
  if (event.result) {
    const unsure = event.result.classification.unsure;
    Object.assign(state, { result: event.result, seen: state.seen ?? event.result.classification, all: false });
    go(unsure ? "choose" : "answer");
    if (event.result.rule?.here === false) say(titleOf(event.result));
    learn().catch(() => {});
    note();
  } else if (event.step === "reward" && event.reward && state.phase === "answer") {
    gain(event.reward);
  } else if (state.phase === "waiting") {
    drawNow();
  }
}

/** @param {any} reward */
export function gain(reward) {
  state.reward = reward;
  byId("reward").replaceChildren(rewardCard(reward, state.result.answer.lang));
  say(t("reward.points", { n: reward.points }));
  note();
}

/** @param {number} seconds @param {AbortSignal} signal count down where it can be seen */
async function pause(seconds, signal) {
  state.busyFor = seconds;
  go("busy");
  await new Promise((resolve, reject) => {
    const end = () => (clearInterval(timer), resolve(undefined));
    const timer = setInterval(() => {
      state.busyFor -= 1;
      if (state.busyFor <= 0) return end();
      byId("left").textContent = t("wait.left", { n: state.busyFor });
    }, 1000);
    state.hurry = end;
    signal.addEventListener("abort", () => (clearInterval(timer), reject(signal.reason)), { once: true });
  });
  go("waiting");
}

/** Forget the scan that runs, if one does. */
function leave() {
  const unfinished = (state.phase === "waiting" || state.phase === "busy") && state.task;
  state.running.abort();
  if (unfinished) cancel(unfinished);
}

/**
 * Start a scan. An earlier scan that the server does not know any more does not keep this one from its answer.
 * @param {Ask} ask @param {AbortSignal} signal @param {typeof pause} wait
 * @returns {Promise<Task>} @throws {Problem}
 */
export async function accepted(ask, signal, wait) {
  try {
    return await start(ask, signal, wait);
  } catch (problem) {
    if (!(ask.after || ask.revises) || !(problem instanceof Problem) || problem.status !== 422) throw problem;
    return start({ ...ask, after: undefined, revises: undefined, key: newKey() }, signal, wait);
  }
}

/**
 * Ask the server, and follow the scan to its end.
 * @param {Ask} ask
 * @param {Task|null} [task] one that was accepted already
 * @param {any} [seen] what the photo was taken for before
 * @returns {Promise<void>}
 */
async function run(ask, task = null, seen = null) {
  leave();
  const running = new AbortController();
  Object.assign(state, { ...afresh(), running, ask, task, seen });
  steps.reset();
  if (!ask.category) steps.begin();
  go("waiting");
  learn().catch(() => {}); // what comes with the answer is there when the answer is
  keepForReload();
  try {
    state.task ??= await accepted(ask, running.signal, pause);
    keepForReload();
    drawNow();
    await follow(state.task, { onEvent, onLink: drawLink }, running.signal);
  } catch (problem) {
    if (running.signal.aborted || state.running !== running) return;
    fail(asProblem(problem));
  }
}

/** @param {Problem} problem */
function fail(problem) {
  if (state.phase === "answer" || state.phase === "choose") return; // only the reward is missing
  steps.fail();
  state.problem = problem;
  if (problem.code === "vision_off") return void chooseFromAll();
  go("error");
}

/** Once more with the same photo: the same scan if the server has it, else a new one. */
export function retry() {
  const { ask, task, problem } = state;
  if (!ask) return chooseFromAll();
  const unanswered = problem?.status === 0;
  return run(unanswered && ask.lang === lang() ? ask : { ...ask, lang: lang(), key: newKey() }, unanswered ? task : null);
}

/** Back to the empty page. */
export function restart() {
  leave();
  release(state.photo);
  forgetScan();
  Object.assign(state, { ...afresh(), running: new AbortController(), photo: null, visit: "" });
  go("start");
}

/** Let the user say what it is, out of everything there is. */
async function chooseFromAll() {
  const { running, phase } = state;
  try {
    await learn();
    if (running.signal.aborted || state.running !== running || state.phase !== phase) return;
    if (state.past || !state.visit) Object.assign(state, { ...afresh(), visit: newKey(), photo: null });
    state.all = true;
    go("choose");
    scrollTo(0, 0);
    byId("panel").scrollTop = 0;
    byId("panel").querySelector("h1")?.focus({ preventScroll: true });
  } catch (problem) {
    if (running.signal.aborted || state.running !== running) return;
    state.problem = asProblem(problem);
    go("error");
  }
}

/** @param {{id: string, name: string}} option what it is, says the user */
function pick({ id, name }) {
  const { task_id, classification } = state.result ?? {};
  const before = classification?.unsure ? { after: task_id } : { revises: task_id };
  state.visit ||= newKey();
  run({ category: id, name, lang: lang(), key: newKey(), ...(task_id ? before : {}) });
}

/** Scan the photo that is shown. */
function send() {
  const { photo } = state;
  run({ blob: photo?.blob ?? undefined, type: photo?.type, lang: lang(), key: newKey() });
}

/** @param {import("./photo.js").Photo} photo one without anything in it is sent only when somebody says so */
export function ask(photo) {
  leave();
  release(state.photo);
  forgetScan();
  Object.assign(state, { ...afresh(), running: new AbortController(), photo, visit: newKey() });
  if (photo.flat) go("flat");
  else send();
}

/** @param {File|null} file what somebody chose, dropped or pasted */
export async function take(file) {
  if (!file || state.reading) return;
  const running = new AbortController();
  leave();
  release(state.photo);
  forgetScan();
  Object.assign(state, { ...afresh(), running, photo: null, visit: "", reading: true });
  steps.reset();
  go("waiting");
  say(t("photo.reading"));
  try {
    const photo = await prepare(file);
    if (running.signal.aborted) return release(photo);
    ask(photo);
  } catch (problem) {
    if (running.signal.aborted) return;
    if (!(problem instanceof Unusable)) throw problem;
    restart();
    state.note = problem.reason;
    render();
  }
}

/** Go on with the scan that ran when the page was left. @returns {boolean} whether there was one */
export function resume() {
  const kept = keptScan();
  if (!kept) return false;
  const photo = revived(kept.picture);
  const { photo: sent, ...asked } = kept.ask;
  if (sent && !photo && !kept.task) return false;
  Object.assign(state, { photo, visit: kept.visit });
  const task = kept.task && { ...kept.task, stream: new URL(kept.task.stream), result: new URL(kept.task.result) };
  run({ ...asked, blob: sent ? photo?.blob ?? undefined : undefined }, task, kept.seen ?? null).then(() => {
    if (state.phase === "error" && [404, 410].includes(state.problem?.status ?? 0)) restart(); // an old tab's
  });
  return true;
}

/** @param {import("./state.js").Entry} entry an answer out of the history */
function open(entry) {
  leave();
  release(state.photo);
  forgetScan();
  const photo = entry.thumb ? { blob: null, type: "image/jpeg", url: entry.thumb } : null;
  const { seen, ...result } = entry.result;
  Object.assign(state, { ...afresh(), running: new AbortController(), visit: entry.id, photo, ask: entry.ask, result, seen, reward: entry.reward, past: entry });
  go("answer");
  learn().catch(() => {});
}

export function showHistory() {
  restart();
  go("history");
}

const clear = () => (forgetHistory(), render(), say(t("history.cleared")), byId("panel").querySelector("h1")?.focus());

/** @type {import("./view.js").Acts} */
export const acts = {
  again: restart, other: chooseFromAll, retry, pick, more: chooseFromAll, open, clear, send, history: showHistory,
  toggle: () => {}, relang: () => {}, // conditions.js
};
