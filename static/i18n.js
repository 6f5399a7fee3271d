/** The page's own words in Korean and English. What the server says comes in its own language. */

import { ANSWER } from "./i18n-answer.js";
import { PAGE } from "./i18n-page.js";

/** @typedef {"ko"|"en"} Lang */

const KEY = "eco.lang";

/** @type {Record<string, [ko: string, en: string]>} */
const TEXTS = { ...PAGE, ...ANSWER };

/** @type {Lang} */
let current = "ko";

/** @returns {Lang} */
export const lang = () => current;

/** @param {string} word @returns {string} a Korean word as a subject: 이 behind a consonant, 가 behind a vowel */
export function subject(word) {
  const last = (word.codePointAt(word.length - 1) ?? 0) - 0xac00;
  return `${word}${last >= 0 && last < 11172 && last % 28 === 0 ? "가" : "이"}`;
}

/**
 * @param {string} key
 * @param {Record<string, string|number>} [values] what fills {names} in the text
 * @param {string} [into] the language, the page's unless told
 * @returns {string}
 */
export function t(key, values = {}, into = current) {
  const pair = TEXTS[key];
  const text = pair ? pair[into === "ko" ? 0 : 1] : key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key @returns {boolean} whether there are words for it */
export const known = (key) => Object.hasOwn(TEXTS, key);

/** @returns {Lang} the remembered language, else the browser's, else Korean */
export function firstLang() {
  /** @type {string|null} */ let wanted = null;
  try {
    wanted = localStorage.getItem(KEY);
  } catch {
    // Storage is forbidden here: the browser's own language decides.
  }
  return (wanted ?? navigator.language ?? "ko").toLowerCase().startsWith("en") ? "en" : "ko";
}

/** @param {Lang} wanted */
export function remember(wanted) {
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // It holds for this visit only.
  }
}

/** @param {Lang} wanted Put the page's fixed texts into this language. */
export function speak(wanted) {
  current = wanted;
  document.documentElement.lang = wanted;
  const each = (name, put) => document.querySelectorAll(`[${name}]`).forEach((node) => put(node, node.getAttribute(name) ?? ""));
  each("data-text", (node, key) => (node.textContent = t(key)));
  each("data-label", (node, key) => node.setAttribute("aria-label", t(key)));
  each("data-alt", (node, key) => node.setAttribute("alt", t(key)));
  each("data-lang", (node, id) => node.setAttribute("aria-pressed", String(id === wanted)));
}
