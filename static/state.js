/** What the page shows at this moment. The flow writes it, the view draws it. */

/**
 * @typedef {import("./scan.js").Ask} Ask
 * @typedef {import("./scan.js").Task} Task
 * @typedef {import("./scan.js").Problem} Problem
 * @typedef {import("./photo.js").Photo} Photo
 * @typedef {"start"|"history"|"waiting"|"busy"|"flat"|"choose"|"answer"|"error"} Phase
 * @typedef {{id: string, name: string, bin: string, bin_color?: string, bin_shape?: string, here?: boolean, tags?: string[]}} Category
 * @typedef {{categories: Category[], tags: {id: string, name: string}[]}} Catalog
 * @typedef {{id: string, at: number, name: string, bin: string, color: string|null, shape: string|null, points: number|null,
 *   thumb: string|null, ask: Ask, result: any, reward: any}} Entry one answer of this device's history
 */

export const state = {
  /** @type {Phase} */ phase: "start",
  /** One photo or one choice, with all that is asked about it. */ visit: "",
  /** @type {Photo|null} */ photo: null,
  /** @type {Ask|null} */ ask: null,
  /** @type {Task|null} */ task: null,
  /** @type {any} */ result: null,
  /** @type {any} what the photo was taken for before conditions were tapped */ seen: null,
  /** @type {any} */ reward: null,
  /** @type {Problem|null} */ problem: null,
  /** @type {Catalog|null} in the page's language */ catalog: null,
  /** Everything there is to choose from is on screen. */ all: false,
  /** @type {string[]|null} the conditions that are being asked about */ asking: null,
  /** @type {string|null} what came of that, or went wrong with it */ told: null,
  /** Such a question led to another bin. */ changed: false,
  /** @type {Entry|null} the answer is one of the history's */ past: null,
  /** A chosen photo is being read. */ reading: false,
  /** @type {import("./scan.js").Link} */ link: "live",
  /** @type {string|null} */ note: null,
  /** @type {string} what the place asks with, instead of the page's own words */ title: "",
  busyFor: 0,
  kiosk: false,
  running: new AbortController(),
  hurry: () => {},
};

/** What a new question starts with; the photo and the visit stay. */
export const afresh = () => ({
  ask: null, task: null, result: null, seen: null, reward: null, problem: null, all: false, asking: null, told: null, changed: false, past: null, note: null, reading: false,
  link: /** @type {const} */ ("live"),
});
