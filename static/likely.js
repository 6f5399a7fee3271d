/** What is likely: the kinds that a photo is mistaken for, and the conditions that most things are in. */

/** What is offered beside what a photo was taken for, the likeliest first. @type {Record<string, string[]>} */
const MISTAKEN = {
  plastic: ["pet_clear", "film", "eps"],
  paper: ["cardboard", "carton"],
  cardboard: ["paper", "carton"],
  metal: ["battery", "ewaste"],
  glass: ["lighting"],
  general: ["food", "incombustible"],
};

/** A kind that is mistaken so often that its button stands out. @type {Record<string, string>} */
const MOSTLY = { plastic: "pet_clear" };

const CONDITIONS = [
  "soiled", "has_contents", "wet", "broken", "sharp", "coloured", "mixed_material", "coated",
  "deposit", "composite_mark", "large", "built_in_battery",
];

/**
 * @template {{id: string}} T
 * @param {string|null|undefined} category what the photo was taken for
 * @param {T[]} all what there is at this place
 * @returns {{option: T, mostly: boolean}[]}
 */
export function rather(category, all) {
  const named = Object.hasOwn(MISTAKEN, category ?? "") ? MISTAKEN[category ?? ""] : [];
  const options = named.flatMap((id) => all.find((one) => one.id === id) ?? []);
  return options.map((option) => ({ option, mostly: MOSTLY[category ?? ""] === option.id }));
}

/** @param {{id: string}} tag @returns {number} what is not known here comes last */
const rank = ({ id }) => (CONDITIONS.includes(id) ? CONDITIONS.indexOf(id) : CONDITIONS.length);

/** @template {{id: string}} T @param {T[]} tags @returns {T[]} the likeliest first */
export const byLikelihood = (tags) => [...tags].sort((a, b) => rank(a) - rank(b));
