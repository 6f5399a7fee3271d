/** What stands beside the photo: waiting, busy, an error. Choosing and the answer have their own files. */

import { button, el } from "./dom.js";
import { lang, t } from "./i18n.js";
import { mark } from "./shapes.js";

/** @typedef {import("./scan.js").Problem} Problem */

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

/** @param {"dark"|"bright"|"plain"} why @param {() => void} again @param {() => void} send @returns {HTMLElement[]} a photo without anything in it */
export function flatPanel(why, again, send) {
  return [
    el("div", { class: "card calm error", role: "group" },
      heading(t("flat.title")),
      el("p", { class: "lead" }, t(`flat.${why}`)),
      el("div", { class: "buttons" }, button("primary", t("flat.again"), again), button("", t("flat.send"), send))),
  ];
}

/** Never 100: it is a guess. @param {number} share @returns {string} */
export const percent = (share) => `${Math.round(Math.min(0.99, Math.max(0, share)) * 100)}${lang() === "ko" ? "" : " "}%`;

/** @param {Problem} problem @param {boolean} kept whether there is a photo @returns {{title: string, text: string, photo: boolean}} `photo`: another photo is what helps */
function explain({ status, code, detail }, kept) {
  if (status === 0 && code === "network") {
    const kind = navigator.onLine ? "error.network" : "error.offline";
    return { title: t(kind), text: t(kept ? `${kind}.text` : "error.network.plain"), photo: false };
  }
  const kinds = { 400: "unreadable", 404: "gone", 410: "gone", 413: "large", 415: "type", 422: "unreadable", 429: "busy", 503: "busy" };
  const kind = code === "storage" || code === "slow" ? code : kinds[status];
  if (!kind) return { title: t("error.title"), text: detail, photo: false };
  return { title: t(`error.${kind}`), text: t(`error.${kind}.text`), photo: code !== "slow" && [400, 413, 415, 422].includes(status) };
}

/** @param {Problem} problem @param {() => void} retry @param {() => void} again @param {{word: string, kept: boolean}} how `word` of the way back @returns {HTMLElement[]} */
export function errorPanel(problem, retry, again, { word, kept }) {
  const { title, text, photo } = explain(problem, kept);
  const another = button(photo ? "primary" : "", word, again);
  // The same photo again would be refused again.
  const buttons = photo ? [another] : [button("primary", t("error.retry"), retry), another];
  return [
    el("div", { class: "card calm error", role: "group" },
      heading(title),
      text ? el("p", { class: "lead" }, text) : null,
      el("div", { class: "buttons" }, ...buttons)),
  ];
}
