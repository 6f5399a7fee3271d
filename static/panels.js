/** What stands beside the photo: waiting, busy, an error. Choosing and the answer have their own files. */

import { button, el } from "./dom.js";
import { lang, t } from "./i18n.js";
import { mark } from "./shapes.js";

/** @typedef {import("./scan.js").Problem} Problem */

/** @param {string} text @returns {HTMLElement} the panel's heading, which can take the focus */
export const heading = (text) => el("h1", { class: "title", tabindex: "-1" }, text);

/** @param {() => void} stop @returns {HTMLElement} */
function cancelling(stop) {
  const node = button("plain", t("scan.cancel"), stop);
  node.dataset.focus = "cancel"; // a draw in mid-scan leaves the focus where it is
  return node;
}

/** @param {string} title @param {string} sentence @param {() => void} stop @returns {HTMLElement[]} */
export function waitingPanel(title, sentence, stop) {
  const marks = ["circle", "square", "triangle", "hexagon", "drop"].map((shape) => mark(shape, "pulse"));
  return [el("div", { class: "card waiting" }, el("div", { class: "pulses" }, ...marks), heading(title), el("p", { class: "lead", id: "now" }, sentence),
    el("div", { class: "buttons" }, cancelling(stop)))];
}

/** @param {number} seconds @param {() => void} now @param {() => void} stop @returns {HTMLElement[]} a busy server; count down in #left */
export function busyPanel(seconds, now, stop) {
  return [
    el("div", { class: "card calm" },
      heading(t("wait.title")),
      el("p", { class: "lead" }, t("wait.text")),
      el("p", { class: "left", id: "left", "aria-hidden": "true" }, t("wait.left", { n: seconds })),
      el("div", { class: "buttons" }, button("", t("wait.now"), now), cancelling(stop))),
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

/**
 * Nothing answered: the page goes on by itself, and nobody has to do anything.
 * @param {() => void} retry @param {() => void} again @param {{word: string, kept: boolean, kiosk: boolean}} how
 * @returns {HTMLElement[]}
 */
function lostPanel(retry, again, { word, kept, kiosk }) {
  const title = kiosk ? "reach.kiosk" : navigator.onLine ? "error.network" : "error.offline";
  const now = kiosk ? [] : [button("", t("error.network.now"), retry)]; // at a station it would be advice to nobody
  return [
    el("div", { class: "card calm error lost", role: "group" },
      heading(t(title)),
      el("p", { class: "lead" }, t(kept ? "error.network.photo" : "error.network.choice")),
      el("div", { class: "buttons" }, ...now, button(kiosk ? "" : "plain", word, again))),
  ];
}

/** @param {Problem} problem @returns {{title: string, text: string, said?: string, photo: boolean}} `said`: the server's own words; `photo`: another photo is what helps */
function explain({ status, code, detail }) {
  const kinds = { 400: "unreadable", 404: "gone", 410: "gone", 413: "large", 415: "type", 422: "unreadable", 429: "busy", 503: "busy" };
  const kind = code === "storage" || code === "slow" ? code : kinds[status];
  if (!kind) return { title: t("error.title"), text: t("error.text"), said: detail, photo: false };
  return { title: t(`error.${kind}`), text: t(`error.${kind}.text`), photo: code !== "slow" && [400, 413, 415, 422].includes(status) };
}

/** @param {Problem} problem @param {() => void} retry @param {() => void} again @param {{word: string, kept: boolean, kiosk: boolean}} how `word` of the way back; `kept`: whether there is a photo @returns {HTMLElement[]} */
export function errorPanel(problem, retry, again, how) {
  if (problem.lost) return lostPanel(retry, again, how);
  const { word } = how;
  const { title, text, said, photo } = explain(problem);
  const another = button(photo ? "primary" : "", word, again);
  // The same photo again would be refused again.
  const buttons = photo ? [another] : [button("primary", t("error.retry"), retry), another];
  return [
    el("div", { class: "card calm error", role: "group" },
      heading(title),
      el("p", { class: "lead" }, text),
      said ? el("p", { class: "small" }, `${t("error.detail")}: `, el("span", { lang: "en" }, said)) : null,
      el("div", { class: "buttons" }, ...buttons)),
  ];
}
