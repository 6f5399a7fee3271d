/** Asking again about the same thing: in another condition, or in another language. The answer changes in place. */

import { titleOf } from "./answer.js";
import { byId } from "./dom.js";
import { accepted, gain, keepForReload, note, render } from "./flow.js";
import { lang, t } from "./i18n.js";
import { follow, newKey } from "./scan.js";
import { state } from "./state.js";
import { say } from "./view.js";

/** @param {string} text of the line below the conditions */
function tell(text) {
  state.told = text;
  const line = document.getElementById("told");
  if (line) line.textContent = text;
}

/** @param {number} seconds @param {AbortSignal} signal @returns {Promise<void>} */
function wait(seconds, signal) {
  tell(t("tags.busy", { n: seconds }));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => (tell(t("tags.asking")), resolve()), seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** @param {any} before @param {any} after results @returns {string} what is different */
function difference(before, after) {
  const bin = titleOf(after);
  if (before.rule?.bin_id !== after.rule?.bin_id) return t("change.bin", { bin });
  return t(String(before.rule?.steps) === String(after.rule?.steps) ? "change.same" : "change.steps", { bin });
}

/**
 * @param {string[]} tags
 * @param {boolean} compared whether to say what is different
 */
async function askAgain(tags, compared) {
  const before = state.result;
  const { category, name } = before.classification;
  if (!category) return;
  state.running.abort();
  const running = new AbortController();
  const ask = { category, name, tags, lang: lang(), key: newKey(), revises: before.task_id };
  Object.assign(state, { running, asking: tags, told: t("tags.asking"), changed: false });
  render();
  /** @param {import("./scan.js").StepEvent} event */
  const onEvent = (event) => {
    if (event.result) {
      const told = compared ? difference(before, event.result) : null;
      const changed = before.rule?.bin_id !== event.result.rule?.bin_id;
      Object.assign(state, { ask, result: event.result, asking: null, told, changed });
      render();
      say(told ?? (event.result.rule?.here === false ? titleOf(event.result) : event.result.answer.text));
      if (changed) byId("panel").querySelector(".bin")?.scrollIntoView({ block: "nearest" });
      note();
    } else if (event.step === "reward" && event.reward && !state.reward) {
      gain(event.reward);
    }
  };
  const onLink = (/** @type {string} */ link) => state.asking && tell(t(link === "live" ? "tags.asking" : "tags.lost"));
  try {
    const task = await accepted(ask, running.signal, wait);
    if (!state.past) keepForReload({ ask, task });
    await follow(task, { onEvent, onLink }, running.signal);
  } catch {
    if (running.signal.aborted || state.running !== running || !state.asking) return;
    Object.assign(state, { asking: null, told: t("tags.failed") });
    render();
    say(t("tags.failed"));
  }
}

/** @param {string} tag tapped: it is so, or not so after all */
export function toggle(tag) {
  const on = state.asking ?? state.ask?.tags ?? [];
  askAgain(on.includes(tag) ? on.filter((one) => one !== tag) : [...on, tag], true);
}

/** The same answer in the page's language. */
export const relang = () => askAgain(state.asking ?? state.ask?.tags ?? [], false);
