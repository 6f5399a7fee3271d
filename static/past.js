/** This device's history: what was asked, where it went, and the points. */

import { button, el } from "./dom.js";
import { lang, t } from "./i18n.js";
import { MOST } from "./memory.js";
import { heading } from "./panels.js";
import { dyed, mark } from "./shapes.js";

/** @typedef {import("./state.js").Entry} Entry */

/** @param {number} at milliseconds @returns {string} */
export function when(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(lang(), today ? { timeStyle: "short" } : { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }).format(date);
}

/** @param {Entry} entry @param {(entry: Entry) => void} open @returns {HTMLElement} */
function row(entry, open) {
  const thumb = entry.thumb ? el("img", { class: "thumb", src: entry.thumb, alt: "", width: 64, height: 64 }) : el("span", { class: "thumb" }, entry.shape ? mark(entry.shape, "choice-mark") : null);
  const node = el("button", { type: "button", class: "row", click: () => open(entry) },
    thumb,
    el("span", { class: "row-text" },
      el("strong", { lang: entry.result.answer?.lang }, entry.name),
      el("span", { class: "row-bin", lang: entry.result.answer?.lang }, entry.shape ? mark(entry.shape, "row-mark") : null, el("span", { class: "name-of" }, entry.bin))),
    el("span", { class: "row-side" },
      el("time", { datetime: new Date(entry.at).toISOString() }, when(entry.at)),
      typeof entry.points === "number" ? el("span", { class: "row-points" }, t("reward.points", { n: entry.points })) : null));
  return el("li", {}, dyed(node, entry.color));
}

/** @param {() => void} clear @returns {HTMLElement} asks once more */
function clearing(clear) {
  const place = el("div", { class: "clearing" });
  const ask = button("plain", t("history.clear"), () => {
    const keep = button("", t("history.no"), () => (place.replaceChildren(ask), ask.focus()));
    place.replaceChildren(el("p", {}, t("history.sure")), el("div", { class: "buttons" }, button("warn", t("history.yes"), clear), keep));
    keep.focus();
  });
  place.append(ask);
  return place;
}

/**
 * @param {{points: number, entries: Entry[]}} past
 * @param {{open: (entry: Entry) => void, clear: () => void, again: () => void}} actions
 * @returns {HTMLElement[]}
 */
export function historyPanel({ points, entries }, { open, clear, again }) {
  return [
    el("div", { class: "card past" },
      el("div", { class: "past-top" },
        el("div", {}, heading(t("history.title")), el("p", { class: "small" }, entries.length ? t("history.kept", { n: MOST }) : t("history.none"))),
        el("p", { class: "total" }, el("span", {}, t("history.total")), el("strong", {}, t("history.points", { n: points })))),
      entries.length ? el("ol", { class: "rows" }, ...entries.map((entry) => row(entry, open))) : null,
      el("div", { class: "buttons" }, button("primary", t("history.new"), again), entries.length || points ? clearing(clear) : null)),
  ];
}
