/** What outlives the page: this tab's scan over a reload, this device's history over days. Both do without where storage is forbidden. */

/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {{visit: string, ask: any, task: any, picture: string|null, seen: any}} Kept `picture`: a data URL; `ask` without its photo */

const SCAN = "eco.scan";
const HISTORY = "eco.history";
const SITE = "eco.site";
export const MOST = 20;

/** @param {() => Storage} store @param {string} key @param {unknown} value @returns {boolean} whether it was kept */
function put(store, key, value) {
  try {
    store().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** @param {() => Storage} store @param {string} key @returns {any} null when there is nothing that can be read */
function get(store, key) {
  try {
    return JSON.parse(store().getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {Kept} kept */
export function keepScan(kept) {
  if (!put(() => sessionStorage, SCAN, kept)) put(() => sessionStorage, SCAN, { ...kept, picture: null });
}

/** @returns {Kept|null} the scan that ran when the page was left */
export function keptScan() {
  const kept = get(() => sessionStorage, SCAN);
  return kept && typeof kept.visit === "string" && kept.ask && typeof kept.ask.key === "string" ? kept : null;
}

export function forgetScan() {
  try {
    sessionStorage.removeItem(SCAN);
  } catch {
    // Nothing was kept either.
  }
}

/** @returns {{points: number, entries: Entry[]}} newest first */
export function history() {
  const kept = get(() => localStorage, HISTORY);
  const entries = Array.isArray(kept?.entries) ? kept.entries.filter((one) => one?.id && one.result && one.ask) : [];
  return { points: Number.isFinite(kept?.points) ? kept.points : 0, entries };
}

/**
 * Put an answer first. Another answer about the same thing replaces it, and its points count once.
 * @param {Entry} entry
 */
export function record(entry) {
  const { points, entries } = history();
  const before = entries.find(({ id }) => id === entry.id);
  const merged = {
    ...entry, at: before?.at ?? entry.at, thumb: entry.thumb ?? before?.thumb ?? null,
    points: before?.points ?? entry.points, reward: entry.reward ?? before?.reward ?? null,
  };
  const gained = before?.points == null ? (entry.points ?? 0) : 0;
  const rest = entries.filter(({ id }) => id !== entry.id);
  const next = { points: points + gained, entries: [merged, ...rest].slice(0, MOST) };
  if (!put(() => localStorage, HISTORY, next)) put(() => localStorage, HISTORY, { ...next, entries: next.entries.map((one) => ({ ...one, thumb: null })) });
}

export function forgetHistory() {
  try {
    localStorage.removeItem(HISTORY);
  } catch {
    // Nothing was kept either.
  }
}

/** What the place said of itself: nothing of anybody's, so a station keeps it, too. @param {string} lang @param {any} said */
export const keepSite = (lang, said) => put(() => localStorage, SITE, { ...keptSites(), [lang]: said });

/** @returns {Record<string, any>} by language */
export function keptSites() {
  const kept = get(() => localStorage, SITE);
  const known = kept && typeof kept === "object" ? Object.entries(kept) : [];
  const whole = known.filter(([, said]) => said && typeof said === "object" && [said.bins ?? []].flat().every((bin) => bin?.name));
  return Object.fromEntries(whole.map(([lang, said]) => [lang, { ...said, texts: said.texts ?? {}, bins: [said.bins ?? []].flat() }]));
}
