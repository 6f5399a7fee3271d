/** Draws the page from its state. */

import { answerPanel } from "./answer.js";
import { choosePanel, everything } from "./choosing.js";
import { byId, el } from "./dom.js";
import { lang, t } from "./i18n.js";
import { byLikelihood, questionOf, rather } from "./likely.js";
import { history } from "./memory.js";
import { busyPanel, errorPanel, flatPanel, waitingPanel } from "./panels.js";
import { historyPanel, when } from "./past.js";
import { state } from "./state.js";
import { Steps } from "./steps.js";

/**
 * @typedef {{again: () => void, other: () => void, retry: () => void, pick: (option: {id: string, name: string}) => void,
 *   more: () => void, toggle: (tag: string) => void, relang: () => void, open: (entry: import("./state.js").Entry) => void,
 *   clear: () => void, history: () => void, send: () => void}} Acts
 */

export const steps = new Steps(byId("steps"), byId("bar"), byId("fill"));

/** @param {string} text for those who listen to the page */
export function say(text) {
  if (text) byId("live").textContent = text;
}

/** @returns {string} the step that somebody waits for */
const nowStep = () => steps.now ?? (state.ask?.category ? "rule" : "vision");

/** @returns {string} what happens at this moment */
const nowText = () => {
  if (!state.task) return t(state.ask?.category ? "scan.now.rule" : "scan.sending");
  return t(`scan.now.${nowStep()}`);
};

/** The waiting panel goes along with the steps. */
export function drawNow() {
  const title = byId("panel").querySelector(".waiting h1");
  if (title) title.textContent = t(`scan.title.${nowStep()}`);
  byId("now").textContent = nowText();
}

/** @param {import("./scan.js").Link} link */
export function drawLink(link) {
  state.link = link;
  const shown = link !== "live" && state.phase === "waiting";
  if (shown && byId("link").hidden) say(t(`link.${link}`));
  byId("link").hidden = !shown;
  byId("link").textContent = shown ? t(`link.${link}`) : "";
}

const wayBack = () => t(state.photo && !state.kiosk ? "error.other" : "error.over");

/** @param {Acts} acts @returns {HTMLElement[]} */
function choose(acts) {
  const { result, problem, catalog } = state;
  const all = catalog?.categories ?? [];
  const unsure = result?.classification.unsure && !state.all;
  const own = result?.answer.lang === lang();
  const named = ({ category, name }) => ({ id: category, name: (!own && all.find(({ id }) => id === category)?.name) || name });
  return choosePanel({
    title: unsure ? t("choose.title") : state.title || t("choose.own"),
    text: unsure ? t("choose.lead") : problem?.code === "vision_off" ? t("choose.off") : "",
    few: unsure ? result.classification.alternatives.map(named) : null,
    all,
    search: !state.kiosk,
    more: acts.more,
    pick: acts.pick,
    again: acts.again,
    word: wayBack(),
  });
}

/** @returns {{known: import("./answer.js").Tag[], question: string|null}} those that change something for this thing */
function tags() {
  const { catalog, result, ask, asking } = state;
  const { category } = result.classification;
  const entry = catalog?.categories.find(({ id }) => id === category);
  const known = byLikelihood(category, (catalog?.tags ?? []).filter(({ id }) => entry?.tags?.includes(id)));
  const question = questionOf(category);
  const on = asking ?? ask?.tags ?? [];
  // What moved the thing already decides alone: asking would lead nowhere.
  const matters = on.includes(question ?? "") || result.rule?.bin_id === entry?.bin_id;
  return { known, question: matters && known.some(({ id }) => id === question) ? question : null };
}

/** @param {Acts} acts @returns {HTMLElement[]} */
function answer(acts) {
  const { result, seen, reward, ask, asking, told, past, catalog } = state;
  const byPhoto = !past && (seen ?? result.classification).backend !== "user";
  const note = past ? t("answer.reopened", { when: when(past.at) }) : null;
  const other = result.answer.lang !== lang() && !asking;
  const { known, question } = tags();
  const conditions = known.filter(({ id }) => ask?.tags?.includes(id)).map(({ name }) => name);
  return answerPanel(
    { result, seen: seen ?? result.classification, reward, plain: state.kiosk, note, conditions },
    { known, question, on: asking ?? ask?.tags ?? [], asking: asking !== null, told, toggle: acts.toggle },
    { options: byPhoto ? rather(result.classification.category, catalog?.categories ?? []) : [], pick: acts.pick },
    { again: acts.again, other: acts.other, relang: other ? acts.relang : null, back: past ? acts.history : null },
  );
}

/** @param {Acts} acts @returns {HTMLElement[]} */
function panel(acts) {
  const { phase, problem } = state;
  if (phase === "start") return [];
  if (phase === "answer") return answer(acts);
  if (phase === "choose") return choose(acts);
  if (phase === "history") return historyPanel(history(), { open: acts.open, clear: acts.clear, again: acts.again });
  if (phase === "error" && problem) return errorPanel(problem, acts.retry, acts.again, { word: wayBack(), kept: state.photo !== null, kiosk: state.kiosk });
  if (phase === "flat") return flatPanel(state.photo?.flat ?? "plain", acts.again, acts.send);
  if (state.reading) return waitingPanel(t("photo.reading"), t("photo.reading.text"), acts.again);
  if (phase === "busy") return busyPanel(state.busyFor, () => state.hurry(), acts.again);
  return waitingPanel(t(`scan.title.${nowStep()}`), nowText(), acts.again);
}

function drawPhoto() {
  const preview = /** @type {HTMLImageElement} */ (byId("preview"));
  document.body.dataset.photo = state.photo && state.phase !== "history" ? "some" : "none";
  if (!state.photo || preview.src === state.photo.url) return;
  preview.hidden = false;
  preview.src = state.photo.url;
}

/** A station without a camera: the things themselves are the start. @param {Acts} acts */
function drawHands(acts) {
  const camera = byId("drop").dataset.camera ?? "";
  const cameraless = !["live", "starting", "ready"].includes(camera);
  const off = ["refused", "failed"].includes(camera) ? el("p", { class: "off" }, t("kiosk.off")) : "";
  const shown = state.kiosk && cameraless && state.phase === "start" && state.catalog !== null;
  document.body.classList.toggle("by-hand", shown);
  byId("hands").hidden = !shown;
  byId("hands").replaceChildren(...(shown ? [off, ...everything(state.catalog?.categories ?? [], acts.pick, false)] : []));
}

/** @param {Acts} acts */
export function draw(acts) {
  const { phase, note } = state;
  const moved = document.body.dataset.phase !== phase;
  const focused = document.activeElement?.getAttribute("data-focus");
  const inside = byId("panel").contains(document.activeElement);
  document.body.dataset.phase = phase;
  document.body.dataset.past = String(state.past !== null);
  document.body.dataset.asked = String(state.task !== null);
  document.body.dataset.all = String(phase === "choose" && (state.all || !state.result?.classification.unsure));
  byId("start").hidden = phase !== "start";
  byId("scan").hidden = phase === "start";
  byId("start-note").hidden = !note;
  byId("start-note").textContent = note ? t(note) : "";
  byId("to-history").hidden = state.kiosk || phase === "history" || history().entries.length === 0;
  drawPhoto();
  drawHands(acts);
  drawLink(state.link);
  steps.draw();
  byId("panel").replaceChildren(...panel(acts));
  byId("panel").classList.toggle("still", !moved);
  byId("panel").querySelector(".bin")?.classList.toggle("changed", state.changed);
  if (moved) scrollTo(0, 0);
  if (phase === "start" || !(moved || inside)) return;
  const same = moved || !focused ? null : byId("panel").querySelector(`[data-focus="${focused}"]`);
  /** @type {HTMLElement|null} */ (same ?? byId("panel").querySelector("h1"))?.focus({ preventScroll: true }); // what had it may be gone
}
