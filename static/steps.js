/** The four steps and their progress bar. */

import { el } from "./dom.js";
import { t } from "./i18n.js";
import { crossed, tick } from "./shapes.js";

/** @typedef {"todo"|"active"|"done"|"failed"|"skipped"} Mark */
/** @typedef {import("./scan.js").StepEvent} StepEvent */

const STEPS = ["vision", "rule", "answer", "reward"];

export class Steps {
  /** @type {Mark[]} */
  #marks = [];
  #progress = 0;
  /** @type {HTMLElement[]} */
  #items;

  /** @param {HTMLElement} list @param {HTMLElement} bar @param {HTMLElement} fill */
  constructor(list, bar, fill) {
    this.bar = bar;
    this.fill = fill;
    this.#items = STEPS.map((step) =>
      el("li", { "data-step": step },
        el("span", { class: "dot" }, tick(), crossed()),
        el("span", { class: "name" }),
        el("span", { class: "quiet" })));
    list.replaceChildren(...this.#items);
    this.reset();
  }

  reset() {
    this.#marks = STEPS.map(() => "todo");
    this.#progress = 0;
    this.draw();
  }

  /** A photo is on its way. */
  begin() {
    this.#marks[0] = "active";
    this.draw();
  }

  /** @returns {string|null} the step that runs now */
  get now() {
    return STEPS[this.#marks.indexOf("active")] ?? null;
  }

  /** @param {StepEvent} event @returns {string} what to tell somebody who listens; empty when nothing changed */
  apply(event) {
    const at = STEPS.indexOf(event.step);
    if (at < 0) return "";
    const before = this.#marks.join();
    const ended = event.status === "failed" || event.status === "cancelled";
    this.#marks = this.#marks.map((mark, i) => (i < at && mark !== "skipped" ? "done" : mark));
    const empty = event.status !== "processing" && (event.step === "reward" ? !event.reward : event.bin === null);
    this.#marks[at] = empty ? "skipped" : ended ? "failed" : event.status === "completed" ? "done" : "active";
    if (event.status === "completed" && at + 1 < STEPS.length && this.#marks[at + 1] === "todo") this.#marks[at + 1] = "active";
    this.#progress = Math.max(this.#progress, Math.min(100, Number(event.progress) || 0));
    this.draw();
    if (empty || event.status === "processing" || this.#marks.join() === before) return "";
    return t(ended ? "step.failed" : "step.done", { step: t(`step.${event.step}`) });
  }

  /** Whatever was running is not any more. */
  fail() {
    this.#marks = this.#marks.map((mark) => (mark === "active" ? "failed" : mark));
    this.draw();
  }

  draw() {
    this.#items.forEach((item, i) => {
      const mark = this.#marks[i];
      item.dataset.mark = mark;
      item.children[1].textContent = t(`step.${STEPS[i]}`);
      item.children[2].textContent = t(`mark.${mark}`);
      if (mark === "active") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
    this.bar.setAttribute("aria-valuenow", String(this.#progress));
    this.fill.style.setProperty("--done", String(this.#progress / 100));
  }
}
