/** What stands beside the photo: waiting, busy, choosing, an error. The answer has its own file. */

import { button, el } from "./dom.js";
import { t } from "./i18n.js";
import { mark } from "./shapes.js";

/** @typedef {import("./scan.js").Problem} Problem */
/** @typedef {{id: string, name: string, confidence?: number, bin?: string}} Option */

/** @param {string} text @returns {HTMLElement} the panel's heading, which can take the focus */
export const heading = (text) => el("h1", { class: "title", tabindex: "-1" }, text);

/** @param {string} title @param {string} sentence @returns {HTMLElement[]} */
export function waitingPanel(title, sentence) {
  const marks = ["circle", "square", "triangle", "hexagon", "drop"].map((shape) => mark(shape, "pulse"));
  return [el("div", { class: "card waiting" }, el("div", { class: "pulses" }, ...marks), heading(title), el("p", { class: "lead", id: "now" }, sentence))];
}

/** @param {number} seconds @param {() => void} now @returns {HTMLElement[]} a busy server; count down in #left */
export function busyPanel(seconds, now) {
  return [
    el("div", { class: "card calm" },
      heading(t("wait.title")),
      el("p", { class: "lead" }, t("wait.text")),
      el("p", { class: "left", id: "left", "aria-hidden": "true" }, t("wait.left", { n: seconds })),
      el("div", { class: "buttons" }, button("", t("wait.now"), now))),
  ];
}

/**
 * @param {{title: string, text: string, options: Option[], more: (() => void)|null, pick: (option: Option) => void, again: () => void}} choice
 *   `more` shows everything there is to choose from, null when that is on screen already
 * @returns {HTMLElement[]}
 */
export function choosePanel({ title, text, options, more, pick, again }) {
  const few = options.length <= 3;
  const choices = options.map((option) =>
    el("button", { type: "button", class: "choice", "data-category": option.id, click: () => pick(option) },
      el("span", { class: "choice-name" }, option.name),
      few && typeof option.confidence === "number" ? el("span", { class: "choice-side" }, percent(option.confidence)) : null));
  return [
    el("div", { class: "card choose" },
      heading(title),
      text ? el("p", { class: "lead" }, text) : null,
      el("div", { class: few ? "choices few" : "choices" }, ...choices),
      el("div", { class: "buttons" },
        more && button("plain", t("choose.more"), more),
        button("plain", t("error.other"), again))),
  ];
}

/** Never 100: it is a guess. @param {number} share @returns {string} */
export const percent = (share) => `${Math.round(Math.min(0.99, Math.max(0, share)) * 100)} %`;

/** @param {Problem} problem @returns {{title: string, text: string, photo: boolean}} `photo`: another photo is what helps */
function explain({ status, code, detail }) {
  if (status === 0 && code === "network") {
    const kind = navigator.onLine ? "error.network" : "error.offline";
    return { title: t(kind), text: t(`${kind}.text`), photo: false };
  }
  const kinds = { 400: "unreadable", 404: "gone", 410: "gone", 413: "large", 415: "type", 422: "unreadable", 429: "busy", 503: "busy" };
  const kind = code === "storage" ? code : kinds[status];
  if (!kind) return { title: t("error.title"), text: detail, photo: false };
  return { title: t(`error.${kind}`), text: t(`error.${kind}.text`), photo: [400, 413, 415, 422].includes(status) };
}

/** @param {Problem} problem @param {() => void} retry @param {() => void} again @returns {HTMLElement[]} */
export function errorPanel(problem, retry, again) {
  const { title, text, photo } = explain(problem);
  const another = button(photo ? "primary" : "", t("error.other"), again);
  // The same photo again would be refused again.
  const buttons = photo ? [another] : [button("primary", t("error.retry"), retry), another];
  return [
    el("div", { class: "card calm error", role: "group" },
      heading(title),
      text ? el("p", { class: "lead" }, text) : null,
      el("div", { class: "buttons" }, ...buttons)),
  ];
}
