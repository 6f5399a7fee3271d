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

const CONDITIONS = ["soiled", "broken", "sharp", "coloured", "mixed_material", "coated", "deposit", "composite_mark", "large", "built_in_battery", "has_contents", "wet"];

/** Conditions that change what to do with a thing, but not its bin; has_contents and wet never do. @type {Record<string, string[]>} */
const STAYS = {
  eps: ["large", "coloured"],
  glass: ["soiled"],
  metal: ["soiled"],
  battery: ["broken"],
  ewaste: ["broken", "large", "built_in_battery"],
  food: ["mixed_material"],
  general: ["broken", "sharp"],
  incombustible: ["broken", "sharp"],
  hazardous: ["broken"],
  bulky: ["broken", "sharp"],
  construction: ["broken", "sharp"],
};

/** Nobody's bottle has a battery: the rules know what to do with one that does, but it is not asked about. */
const WITHOUT_BATTERY = ["pet_clear", "film", "eps", "cardboard", "carton", "glass", "food", "construction"];

/** A condition that so many of a kind are in, and that moves them, that it is a question of its own. @type {Record<string, string>} */
const QUESTIONS = { glass: "deposit" };

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

/** @param {string} category @param {string} id @returns {number} what is not known here comes last */
function rank(category, id) {
  const at = CONDITIONS.indexOf(id);
  if (at < 0) return 2 * CONDITIONS.length;
  return STAYS[category]?.includes(id) || id === "has_contents" || id === "wet" ? CONDITIONS.length + at : at;
}

/**
 * @template {{id: string}} T
 * @param {string} category
 * @param {T[]} tags that change something for it
 * @returns {T[]} those that make sense for it: what leads to another bin first, and of that the likeliest
 */
export function byLikelihood(category, tags) {
  const sensible = tags.filter(({ id }) => id !== "built_in_battery" || !WITHOUT_BATTERY.includes(category));
  return sensible.sort((a, b) => rank(category, a.id) - rank(category, b.id));
}

/** @param {string} category @returns {string|null} the condition that is asked about in so many words */
export const questionOf = (category) => (Object.hasOwn(QUESTIONS, category) ? QUESTIONS[category] : null);
