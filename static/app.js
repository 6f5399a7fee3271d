/** The page: one photo at a time, from choosing it to its answer. */

import { answerPanel, rewardCard } from "./answer.js";
import { byId } from "./dom.js";
import { firstLang, lang, remember, speak, t } from "./i18n.js";
import { listenForPhotos } from "./intake.js";
import { busyPanel, choosePanel, errorPanel, waitingPanel } from "./panels.js";
import { prepare, release, Unusable } from "./photo.js";
import { cancel, categories, follow, newKey, Problem, start } from "./scan.js";
import { Steps } from "./steps.js";

/**
 * @typedef {import("./scan.js").Ask} Ask
 * @typedef {"start"|"waiting"|"busy"|"choose"|"answer"|"error"} Phase
 */

const steps = new Steps(byId("steps"), byId("bar"), byId("fill"));
const picker = /** @type {HTMLInputElement} */ (byId("file"));
const camera = /** @type {HTMLInputElement} */ (byId("camera"));

const state = {
  /** @type {Phase} */ phase: "start",
  /** @type {import("./photo.js").Photo|null} */ photo: null,
  /** @type {Ask|null} */ ask: null,
  /** @type {import("./scan.js").Task|null} */ task: null,
  /** @type {any} */ result: null,
  /** @type {any} */ reward: null,
  /** @type {Problem|null} */ problem: null,
  /** @type {import("./panels.js").Option[]|null} */ all: null,
  /** @type {Map<string, string>|null} the categories' names after a change of language */ names: null,
  /** @type {import("./scan.js").Link} */ link: "live",
  /** @type {string|null} */ note: null,
  busyFor: 0,
  running: new AbortController(),
  hurry: () => {},
};

/** @param {string} text for those who listen to the page */
function say(text) {
  if (text) byId("live").textContent = text;
}

/** @returns {string} what happens at this moment */
const nowText = () => {
  if (steps.now) return t(`scan.now.${steps.now}`);
  return t(state.ask?.category ? "scan.now.rule" : state.task ? "scan.now.vision" : "scan.sending");
};

/** @returns {Parameters<typeof choosePanel>[0]} */
function choice() {
  const { result, all, problem } = state;
  const unsure = result?.classification.unsure && !all;
  const named = ({ category, name, confidence }) => ({ id: category, name: state.names?.get(category) ?? name, confidence });
  const few = unsure ? result.classification.alternatives.map(named) : null;
  return {
    title: t(unsure ? "choose.title" : "choose.own"),
    text: unsure ? (result.answer.lang === lang() ? result.answer.text : "") : problem?.code === "vision_off" ? t("choose.off") : "",
    options: few ?? all ?? [],
    more: few ? () => chooseFromAll() : null,
    pick: ({ id, name }) => run({ category: id, name, lang: lang(), key: newKey() }),
    again: restart,
  };
}

/** @returns {HTMLElement[]} */
function panel() {
  const { phase, result, reward, problem, ask } = state;
  if (phase === "answer") {
    const relang = result.answer.lang === lang() ? null : () => run({ .../** @type {Ask} */ (ask), lang: lang(), key: newKey() });
    return answerPanel(result, reward, { again: restart, other: chooseFromAll, relang });
  }
  if (phase === "choose") return choosePanel(choice());
  if (phase === "error" && problem) return errorPanel(problem, retry, restart);
  if (phase === "busy") return busyPanel(state.busyFor, () => state.hurry());
  return waitingPanel(t(ask?.category ? "scan.title.own" : "scan.title"), nowText());
}

/** Draw everything from the state. */
function render() {
  const { phase, photo, link, note } = state;
  const moved = document.body.dataset.phase !== phase;
  document.body.dataset.phase = phase;
  byId("start").hidden = phase !== "start";
  byId("scan").hidden = phase === "start";
  byId("start-note").hidden = !note;
  byId("start-note").textContent = note ? t(note) : "";
  byId("cancel").hidden = phase !== "waiting" && phase !== "busy";
  const preview = /** @type {HTMLImageElement} */ (byId("preview"));
  if (photo && preview.src !== photo.url) {
    preview.hidden = false;
    preview.src = photo.url;
  }
  drawLink(link);
  steps.draw();
  byId("panel").replaceChildren(...(phase === "start" ? [] : panel()));
  if (moved && phase !== "start") byId("panel").querySelector("h1")?.focus({ preventScroll: phase === "waiting" });
}

/** @param {import("./scan.js").Link} link */
function drawLink(link) {
  state.link = link;
  const shown = link !== "live" && state.phase === "waiting";
  byId("link").hidden = !shown;
  byId("link").textContent = shown ? t(`link.${link}`) : "";
}

/** @param {Phase} phase */
function go(phase) {
  state.phase = phase;
  render();
}

/** @param {import("./scan.js").StepEvent} event */
function onEvent(event) {
  say(steps.apply(event));
  if (event.result) {
    state.result = event.result;
    state.all = null;
    go(event.result.classification.unsure ? "choose" : "answer");
  } else if (event.step === "reward" && event.reward && state.phase === "answer") {
    state.reward = event.reward;
    byId("reward").replaceChildren(rewardCard(event.reward, state.result.answer.lang));
    say(t("reward.points", { n: event.reward.points }));
  } else if (state.phase === "waiting") {
    byId("now").textContent = nowText();
  }
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
 * Ask the server, and follow the scan to its end.
 * @param {Ask} ask
 * @param {import("./scan.js").Task|null} [task] one that was accepted already
 */
async function run(ask, task = null) {
  leave();
  const running = new AbortController();
  Object.assign(state, { running, ask, task, result: null, reward: null, problem: null, all: null, names: null, link: "live", note: null });
  steps.reset();
  go("waiting");
  try {
    state.task ??= await start(ask, running.signal, pause);
    byId("now").textContent = nowText();
    await follow(state.task, { onEvent, onLink: drawLink }, running.signal);
  } catch (problem) {
    if (running.signal.aborted || state.running !== running) return;
    fail(problem instanceof Problem ? problem : new Problem({ status: 500, code: "page", detail: String(problem) }));
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
function retry() {
  const { ask, task, problem } = state;
  if (!ask) return restart();
  const unanswered = problem?.status === 0;
  return run(unanswered && ask.lang === lang() ? ask : { ...ask, lang: lang(), key: newKey() }, unanswered ? task : null);
}

/** Back to the empty page. */
function restart() {
  leave();
  release(state.photo);
  Object.assign(state, { photo: null, ask: null, task: null, result: null, problem: null, note: null });
  go("start");
  (camera.offsetParent ? camera : picker).focus();
}

/** Let the user say what it is, out of everything there is. */
async function chooseFromAll() {
  const { signal } = state.running;
  try {
    const all = await categories(lang());
    if (signal.aborted) return;
    state.all = all;
    go("choose");
    byId("panel").querySelector("h1")?.focus();
  } catch (problem) {
    if (signal.aborted) return;
    state.problem = problem instanceof Problem ? problem : new Problem({ status: 500, code: "page", detail: String(problem) });
    go("error");
  }
}

/** @param {File|null} file what somebody chose, dropped or pasted */
async function take(file) {
  if (!file) return;
  try {
    const photo = await prepare(file);
    leave();
    release(state.photo);
    state.photo = photo;
    run({ blob: photo.blob, type: photo.type, lang: lang(), key: newKey() });
  } catch (problem) {
    if (!(problem instanceof Unusable)) throw problem;
    restart();
    state.note = problem.reason;
    render();
  }
}

/** @param {"ko"|"en"} wanted */
function switchTo(wanted) {
  remember(wanted);
  speak(wanted);
  render();
  if (state.phase !== "choose") return;
  if (state.all) chooseFromAll();
  else translateChoices();
}

/** Name the three best in the language that was switched to. */
async function translateChoices() {
  const { signal } = state.running;
  const all = await categories(lang()).catch(() => []);
  if (signal.aborted) return;
  state.names = new Map(all.map(({ id, name }) => [id, name]));
  render();
}

speak(firstLang());
render();
listenForPhotos(take);
for (const choice of document.querySelectorAll(".lang")) {
  choice.addEventListener("click", () => switchTo(choice.getAttribute("data-lang") === "en" ? "en" : "ko"));
}
byId("cancel").addEventListener("click", restart);
byId("preview").addEventListener("error", () => (byId("preview").hidden = true)); // the server may still read it
const unreached = () => state.phase === "error" && state.problem?.code === "network";
window.addEventListener("online", () => unreached() && retry());
window.addEventListener("offline", () => unreached() && render());
