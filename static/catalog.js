/** What can be chosen, kept for a while: a kiosk's page lives for weeks, and its rules may change. */

import * as scan from "./scan.js";

const FRESH_MS = 300_000;

/** @type {Map<string, {at: number, asked: Promise<import("./state.js").Catalog>}>} */
const kept = new Map();

/** @param {string} lang @returns {Promise<import("./state.js").Catalog>} @throws {scan.Problem} */
export function catalog(lang) {
  const known = kept.get(lang);
  if (known && performance.now() - known.at < FRESH_MS) return known.asked;
  const asked = scan.catalog(lang);
  kept.set(lang, { at: performance.now(), asked });
  asked.catch(() => kept.delete(lang));
  return asked;
}

/** The sections of the whole list; what is in none stands in the last. */
const RECYCLE = ["pet_clear", "plastic", "film", "eps", "paper", "cardboard", "carton", "glass", "metal"];
const SPECIAL = ["battery", "lighting", "ewaste", "textile", "hazardous"];

/**
 * @template {{id: string}} T
 * @param {T[]} categories
 * @returns {{id: "recycle"|"special"|"rest", members: T[]}[]}
 */
export function grouped(categories) {
  const groups = /** @type {{id: "recycle"|"special"|"rest", members: T[]}[]} */ (["recycle", "special", "rest"].map((id) => ({ id, members: [] })));
  for (const one of categories) groups[RECYCLE.includes(one.id) ? 0 : SPECIAL.includes(one.id) ? 1 : 2].members.push(one);
  return groups.filter(({ members }) => members.length);
}
