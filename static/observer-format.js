/** Numbers, times and small pictures of the observer. */

import { svg } from "./dom.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const WIDTH = 60;
const HEIGHT = 18;

/** Seconds that a sparkline shows. */
export const SPAN = 60;

/** @param {number} n @returns {string} with thousands apart; above a million in millions */
export const count = (n) => (n < 1e6 ? whole.format(n) : `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M`);

/** @param {number|null} perSecond */
export function rate(perSecond) {
  if (perSecond === null) return "–";
  if (perSecond === 0) return "0";
  return perSecond < 9.95 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

/** @param {number} ms */
export const millis = (ms) => (ms < 9.95 ? ms.toFixed(1) : count(Math.round(ms)));

/** @param {number} seconds @returns {string} the two greatest units */
export function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** @param {string} at RFC 3339 @returns {string} the time of day, here */
export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

/** The last minute of a figure. */
export class History {
  constructor() {
    /** @type {number[]} */ this.values = [];
    this.flat = true;
  }

  /** @param {number} value */
  add(value) {
    this.values.push(value);
    if (this.values.length > SPAN) this.values.shift();
    this.flat = this.values.every((each) => each === 0);
  }
}

/** A line of the last minute; the newest at the right. */
export class Spark {
  constructor() {
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    this.node = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, this.area, this.line);
    this.shown = "";
  }

  /** @param {History|undefined} history */
  draw(history) {
    const values = history && !history.flat ? history.values : [];
    const top = Math.max(...values, 1e-9);
    const step = WIDTH / (SPAN - 1);
    const begin = WIDTH - (values.length - 1) * step;
    const at = (/** @type {number} */ v, /** @type {number} */ i) => `${(begin + i * step).toFixed(1)} ${(HEIGHT - 1 - (v / top) * (HEIGHT - 3)).toFixed(1)}`;
    const path = values.length > 1 ? `M${values.map(at).join("L")}` : "";
    if (path === this.shown) return;
    this.shown = path;
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", path && `${path}V${HEIGHT}H${begin.toFixed(1)}Z`);
  }
}

/**
 * Change a node's text, if it is another.
 * @param {Node} node @param {string} text
 */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Give an attribute, or take it away, if that changes anything.
 * @param {Element} node @param {string} name @param {string|null} value
 */
export function mark(node, name, value) {
  if (node.getAttribute(name) === value) return;
  if (value === null) node.removeAttribute(name);
  else node.setAttribute(name, value);
}
