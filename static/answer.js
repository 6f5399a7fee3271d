/** The answer: the bin as the hero, then how, the thing's condition, what not, why, and the reward. */

import { button, el } from "./dom.js";
import { known, subject, t } from "./i18n.js";
import { heading, percent } from "./panels.js";
import { dyed, face, mark, shapeId } from "./shapes.js";

/**
 * @typedef {{bin: string, bin_id?: string, bin_color?: string, bin_shape?: string, steps?: string[], not_these?: string[],
 *   why?: string|null, layer?: string|null, source?: any, here?: boolean, where?: string|null}} Rule
 * @typedef {{result: any, seen: any, reward: any, plain: boolean, note: string|null, conditions: string[]}} Shown
 *   `seen`: what the photo was taken for; `plain`: no links; `note`: what this answer is; `conditions`: names of those it holds for
 * @typedef {{id: string, name: string}} Tag
 * @typedef {{known: Tag[], question: string|null, on: string[], asking: boolean, told: string|null, toggle: (id: string) => void}} Conditions
 *   `question`: the one of them that is asked about in so many words
 * @typedef {{options: {option: import("./state.js").Category, mostly: boolean}[], pick: (option: {id: string, name: string}) => void}} Rather
 * @typedef {{again: () => void, other: () => void, relang: (() => void)|null, back: (() => void)|null}} Actions
 *   `relang` when the answer is in another language; `back` when it comes out of the history
 */

/** @param {number} confidence @returns {string} */
const sureness = (confidence) => t(confidence >= 0.85 ? "sure.high" : confidence >= 0.6 ? "sure.middle" : "sure.low");

/** @param {any} seen a classification @param {string} name @param {string} lang @param {string[]} conditions @returns {HTMLElement} what it was taken for, how surely, and what was said of it */
function seenAs(seen, name, lang, conditions) {
  const byUser = seen.backend === "user";
  const measured = !byUser && typeof seen.confidence === "number";
  const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("span", {}));
  /** @type {HTMLElement} */ (meter.firstChild).style.setProperty("--done", String(seen.confidence));
  return el("div", { class: "seen" },
    el("p", {}, el("span", { class: "faint" }, t(byUser ? "answer.chosen" : "answer.seen")), " ", el("strong", { lang }, name)),
    conditions.length ? el("p", { class: "with" }, el("span", { class: "faint" }, t("answer.with")), " ", el("strong", {}, conditions.join(", "))) : null,
    measured ? el("p", { class: "sure" }, meter, el("span", { class: "share" }, el("span", {}, sureness(seen.confidence)), " ", el("span", {}, percent(seen.confidence)))) : null);
}

/** @param {Rule|null} rule @param {string} lang @returns {HTMLElement|null} this place has no such bin: where to go with it */
function elsewhere(rule, lang) {
  if (rule?.here !== false) return null;
  return el("div", { class: "elsewhere" },
    el("p", { class: "eyebrow" }, t("answer.where")),
    el("p", { lang: rule.where ? lang : null }, rule.where || t("answer.away.none")));
}

/** @param {any} result @returns {string} the answer's biggest words: never a bin that is not there */
export function titleOf({ rule, classification, answer }) {
  if (!rule) return classification.name ?? "";
  if (rule.here !== false) return rule.bin;
  return t("answer.title.away", { bin: answer.lang === "ko" ? subject(rule.bin) : rule.bin }, answer.lang);
}

/** @param {Shown} shown @returns {HTMLElement} */
function hero({ result, seen, conditions }) {
  const { rule, classification, answer } = result;
  const shape = shapeId(rule?.bin_shape);
  const away = rule?.here === false;
  const card = el("section", { class: `bin${rule ? "" : " none"}${away ? " away" : ""}`, "data-shape": shape },
    rule ? mark(shape) : null,
    el("div", { class: "bin-text" },
      away ? null : el("p", { class: "eyebrow" }, t(rule ? "answer.eyebrow" : "answer.eyebrow.none")),
      heading(titleOf(result)),
      rule && !away && shape !== "rounded" ? el("p", { class: "find" }, t("answer.mark", { shape: t(`shape.${shape}`) })) : null),
    elsewhere(rule, answer.lang),
    seenAs(seen, classification.name ?? "", answer.lang, conditions));
  card.querySelector("h1")?.setAttribute("lang", answer.lang);
  return dyed(card, rule?.bin_color);
}

/** @param {any} source text, {name, url}, or several of them @param {boolean} plain @returns {Node|string} */
function sourceText(source, plain) {
  if (Array.isArray(source)) return el("span", {}, ...source.flatMap((one, i) => (i ? [", ", sourceText(one, plain)] : [sourceText(one, plain)])));
  const name = typeof source === "string" ? source : source.name ?? source.title ?? source.url ?? "";
  const url = typeof source === "string" ? source : source.url ?? "";
  return !plain && /^https?:\/\/\S+$/.test(url) ? el("a", { href: url, rel: "noreferrer", target: "_blank" }, name) : name;
}

/** @param {Rule} rule @param {string} lang @param {boolean} plain @returns {HTMLElement|null} why it is so, and who says it */
function grounds(rule, lang, plain) {
  const layer = rule.layer && (known(`layer.${rule.layer}`) ? t(`layer.${rule.layer}`) : rule.layer);
  const facts = [[t("answer.layer"), layer], [t("answer.source"), rule.source && sourceText(rule.source, plain)]];
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

/** @param {string[]|undefined} items @param {string} lang @returns {HTMLElement|null} */
function how(items, lang) {
  if (!items?.length) return null;
  return el("section", { class: "how" }, el("h2", {}, t("answer.steps")), el("ol", { lang }, ...items.map((item) => el("li", {}, el("span", {}, item)))));
}

/** @param {string[]|undefined} items @param {string} lang @returns {HTMLElement|null} */
function nots(items, lang) {
  if (!items?.length) return null;
  return el("section", { class: "nots" }, el("h2", {}, t("answer.not")), el("ul", { lang }, ...items.map(notThis)));
}

/** @param {Conditions} conditions @returns {HTMLElement|null} right below the bin: it may well be another one */
function questionOf({ question, on, asking, toggle }) {
  if (!question) return null;
  return el("button", { type: "button", class: "question", "data-tag": question, "data-focus": `tag-${question}`, "aria-pressed": String(on.includes(question)), "aria-busy": String(asking), click: () => toggle(question) },
    el("span", {}, t(`question.${question}`)), " ", el("span", { class: "yes" }, t("question.yes")));
}

/** @param {Conditions} conditions @returns {HTMLElement|null} one tap a condition: the answer changes in place */
function conditionsOf({ known: all, question, on, asking, told, toggle }) {
  const tags = all.filter(({ id }) => id !== question);
  if (!tags.length) return null;
  const chips = tags.map(({ id, name }) =>
    el("button", { type: "button", class: "chip", "data-tag": id, "data-focus": `tag-${id}`, "aria-pressed": String(on.includes(id)), click: () => toggle(id) }, name));
  return el("section", { class: "conditions", "aria-labelledby": "tags-title", "aria-busy": String(asking) },
    el("h2", { id: "tags-title" }, t("tags.title")),
    el("p", { class: told ? "told new" : "told", id: "told" }, told ?? t("tags.hint")),
    el("div", { class: "chips" }, ...chips));
}

/** @param {Rather} rather @returns {HTMLElement|null} what it may be instead, one tap each */
function ratherOf({ options, pick }) {
  if (!options.length) return null;
  const chips = options.map(({ option, mostly }) => {
    const away = option.here === false;
    const chip = el("button", { type: "button", class: mostly ? "chip kind mostly" : "chip kind", "data-category": option.id, "data-focus": `kind-${option.id}`, click: () => pick(option) },
      mark(option.bin_shape, "choice-mark"), el("span", {}, option.name, away && " ", away && el("span", { class: "choice-away" }, t("choose.away"))));
    return away ? chip : dyed(chip, option.bin_color);
  });
  return el("section", { class: "rather", "aria-labelledby": "rather-title" }, el("h2", { id: "rather-title" }, t("rather.title")), el("div", { class: "chips" }, ...chips));
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

/** @param {Shown} shown @param {Conditions} conditions @param {Rather} rather @param {Actions} actions @returns {HTMLElement[]} */
export function answerPanel(shown, conditions, rather, { again, other, relang, back }) {
  const { rule, answer } = shown.result;
  const { lang } = answer;
  const own = answer.backend !== "rule"; // a text composed from the rule says what stands below it anyway
  const parts = [
    own || !rule ? el("p", { class: "lead text", lang }, answer.text) : null,
    el("div", { class: "column" }, how(rule?.steps, lang), ratherOf(rather), nots(rule?.not_these, lang)),
    el("div", { class: "column" }, conditionsOf(conditions), rule && grounds(rule, lang, shown.plain)),
  ];
  return [
    ...(shown.note ? [el("p", { class: "of" }, shown.note)] : []),
    ...(relang ? [button("relang", t("answer.relang"), relang)] : []),
    hero(shown),
    questionOf(conditions),
    el("div", { class: "card body" }, ...parts),
    el("div", { id: "reward" }, shown.reward ? rewardCard(shown.reward, lang) : null),
    el("div", { class: "buttons after" },
      button("primary", t(back ? "history.new" : "answer.again"), again),
      back && button("", t("history.back"), back),
      !back && button("plain", t("answer.other"), other)),
  ].filter((part) => part !== null);
}
