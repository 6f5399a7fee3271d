/** The answer: the bin as the hero, then how, what not, why, and the reward. */

import { button, el } from "./dom.js";
import { known, t } from "./i18n.js";
import { heading, percent } from "./panels.js";
import { colorOf, face, inkOn, mark, shapeId } from "./shapes.js";

/**
 * @typedef {{bin: string, bin_id?: string, bin_color?: string, bin_shape?: string, steps?: string[], not_these?: string[],
 *   why?: string|null, layer?: string|null, source?: any}} Rule
 * @typedef {{again: () => void, other: () => void, relang: (() => void)|null}} Actions `relang` when the answer is in another language
 */

/** @param {number} confidence @returns {string} */
const sureness = (confidence) => t(confidence >= 0.85 ? "sure.high" : confidence >= 0.6 ? "sure.middle" : "sure.low");

/** @param {any} seen the result's classification @param {string} lang @returns {HTMLElement} what it was taken for, and how surely */
function seenAs(seen, lang) {
  const byUser = seen.backend === "user";
  const measured = !byUser && typeof seen.confidence === "number";
  const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("span", {}));
  /** @type {HTMLElement} */ (meter.firstChild).style.setProperty("--done", String(seen.confidence));
  return el("div", { class: "seen" },
    el("p", {}, el("span", { class: "faint" }, t(byUser ? "answer.chosen" : "answer.seen")), " ", el("strong", { lang }, seen.name ?? "")),
    measured ? el("p", { class: "sure" }, meter, el("span", {}, `${sureness(seen.confidence)} · ${percent(seen.confidence)}`)) : null);
}

/** @param {any} result @returns {HTMLElement} */
function hero(result) {
  const { rule, classification: seen, answer } = result;
  const shape = shapeId(rule?.bin_shape);
  const card = el("section", { class: rule ? "bin" : "bin none", "data-shape": shape },
    rule ? mark(shape) : null,
    el("div", { class: "bin-text" },
      el("p", { class: "eyebrow" }, t(rule ? "answer.eyebrow" : "answer.eyebrow.none")),
      heading(rule ? rule.bin : seen.name ?? ""),
      rule && shape !== "rounded" ? el("p", { class: "find" }, t("answer.mark", { shape: t(`shape.${shape}`) })) : null),
    seenAs(seen, answer.lang));
  card.querySelector("h1")?.setAttribute("lang", answer.lang);
  const color = colorOf(rule?.bin_color);
  if (color) {
    card.style.setProperty("--bin", color);
    card.style.setProperty("--on-bin", inkOn(color));
  }
  return card;
}

/** @param {any} source text, {name, url}, or several of them @returns {Node|string} */
function sourceText(source) {
  if (Array.isArray(source)) return el("span", {}, ...source.flatMap((one, i) => (i ? [", ", sourceText(one)] : [sourceText(one)])));
  const name = typeof source === "string" ? source : source.name ?? source.title ?? source.url ?? "";
  const url = typeof source === "string" ? source : source.url ?? "";
  return /^https?:\/\/\S+$/.test(url) ? el("a", { href: url, rel: "noreferrer", target: "_blank" }, name) : name;
}

/** @param {Rule} rule @param {string} lang @returns {HTMLElement|null} why it is so, and who says it */
function grounds(rule, lang) {
  const layer = rule.layer && (known(`layer.${rule.layer}`) ? t(`layer.${rule.layer}`) : rule.layer);
  const facts = [[t("answer.layer"), layer], [t("answer.source"), rule.source && sourceText(rule.source)]];
  const rows = facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  if (!rule.why && !rows.length) return null;
  return el("section", { class: "grounds" },
    rule.why ? el("h2", {}, t("answer.why")) : null,
    rule.why ? el("p", { lang }, rule.why) : null,
    rows.length ? el("dl", {}, ...rows) : null);
}

/** @param {string} thing "what → where it goes" @returns {HTMLElement} */
function notThis(thing) {
  const [what, ...where] = thing.split(" → ");
  return el("li", {}, el("span", {}, what, where.length > 0 && " ", where.length > 0 && el("span", { class: "where" }, `→ ${where.join(" → ")}`)));
}

/**
 * The answer without what stands below it anyway: a text composed from the rule repeats its steps.
 * @param {string} text @param {Rule|null} rule @returns {string}
 */
function opening(text, rule) {
  const first = rule?.steps?.[0];
  const end = first ? text.indexOf(first) : -1;
  return end > 0 ? text.slice(0, end).trim() : text;
}

/** @param {Rule} rule @param {string} lang @returns {HTMLElement[]} */
function instructions(rule, lang) {
  const parts = [];
  if (rule.steps?.length) {
    const items = rule.steps.map((step) => el("li", {}, el("span", {}, step)));
    parts.push(el("section", { class: "how" }, el("h2", {}, t("answer.steps")), el("ol", { lang }, ...items)));
  }
  if (rule.not_these?.length) {
    const items = rule.not_these.map(notThis);
    parts.push(el("section", { class: "nots" }, el("h2", {}, t("answer.not")), el("ul", { lang }, ...items)));
  }
  return parts;
}

/** @param {any} reward @param {string} lang @returns {HTMLElement} */
export function rewardCard(reward, lang) {
  const { points, character } = reward;
  return el("section", { class: "reward", "aria-label": t("reward.title") },
    character ? face(String(character.id)) : null,
    el("div", { class: "says" },
      character ? el("p", { class: "who", lang }, character.name) : null,
      character?.line ? el("p", { class: "line", lang }, character.line) : null),
    typeof points === "number" ? el("p", { class: "points" }, t("reward.points", { n: points })) : null);
}

/**
 * @param {any} result
 * @param {any} reward null while there is none
 * @param {Actions} actions
 * @returns {HTMLElement[]}
 */
export function answerPanel(result, reward, { again, other, relang }) {
  const { rule, answer } = result;
  return [
    ...(relang ? [button("relang", t("answer.relang"), relang)] : []),
    hero(result),
    el("div", { class: "card body" },
      el("p", { class: "lead text", lang: answer.lang }, opening(answer.text, rule)),
      ...(rule ? instructions(rule, answer.lang) : []),
      rule ? grounds(rule, answer.lang) : null),
    el("div", { id: "reward" }, reward ? rewardCard(reward, answer.lang) : null),
    el("div", { class: "buttons after" },
      button("primary", t("answer.again"), again),
      button("plain", t("answer.other"), other)),
  ];
}
