/** From snapshots to what is to be seen: a tree, its last minute, what is folded, sorted, filtered. */

import { History } from "./observer-format.js";

/** Members of a group that are asked for at a time. */
export const PAGE = 50;

/** Seconds for which a restart stays visible on its row. */
export const FRESH_S = 30;

/**
 * @typedef {{depth: number, high_water: number, capacity: number|null, overflow: string, depth_max?: number,
 *   offered: number, accepted: number, handled: number, refused: number, dropped: number, replaced: number,
 *   coalesced: number, dead: number, expired: number}} Mailbox
 * @typedef {{path: string, kind: string, level: number, incarnation: number, state: string, restarts: number,
 *   last_error: string|null, mailbox: Mailbox, rate: number|null,
 *   suspended?: boolean|number, traced?: boolean|number,
 *   count?: number, states?: Record<string, number>, members?: Row[]}} Row
 * @typedef {{at: string, path: string, incarnation: number, reason: string}} Restart
 * @typedef {{at: string, uptime_s: number, actors: number, jobs: number, dead_letters: number, restarts: number,
 *   rate: number|null, lag_ms: number, watchers: number, recent: Restart[], rows: Row[]}} Snapshot
 * @typedef {{key: string, row: Row, children: Entry[], below: number, group: boolean, more: number}} Entry
 * @typedef {{key: string, entry: Entry, level: number, guides: string, open: boolean|null, fresh: boolean,
 *   place: number, of: number, parent: string|null, type: "actor"|"group"|"details"|"more"}} Item
 */

/** @param {Row} row what a mailbox did not keep */
export const lost = (row) => row.mailbox.refused + row.mailbox.replaced;

/** @param {Row} row */
export const nameOf = (row) => row.path.slice(row.path.lastIndexOf("/") + 1);

/** @param {string} path */
export const parentOf = (path) => path.slice(0, path.lastIndexOf("/"));

/** @type {Record<string, (a: Row, b: Row) => number>} */
const ORDERS = {
  depth: (a, b) => b.mailbox.depth - a.mailbox.depth,
  rate: (a, b) => (b.rate ?? 0) - (a.rate ?? 0),
  lost: (a, b) => lost(b) - lost(a),
  restarts: (a, b) => b.restarts - a.restarts,
  name: (a, b) => nameOf(a).localeCompare(nameOf(b), "en", { numeric: true }),
};

export class Model {
  constructor() {
    /** @type {Snapshot|null} */ this.snapshot = null;
    /** @type {Entry[]} */ this.roots = [];
    /** @type {Set<string>} */ this.closed = new Set();
    /** @type {Set<string>} groups, which are closed to begin with */ this.opened = new Set();
    /** @type {Set<string>} */ this.detailed = new Set();
    /** @type {Map<string, {rows: Row[], asked: number}>} members that were asked for, by group */ this.pages = new Map();
    /** @type {Map<string, History>} */ this.histories = new Map();
    /** @type {Map<string, {incarnation: number, since: number}>} */ this.known = new Map();
    /** @type {Restart[]} the server's list does not survive its observer; this page does */ this.noticed = [];
    this.total = { rate: new History(), lag: new History() };
    this.taking = false;
    this.filter = "";
    this.sort = "start";
  }

  /** @param {Snapshot} snapshot @param {number} now in seconds */
  take(snapshot, now) {
    if (this.snapshot && snapshot.uptime_s < this.snapshot.uptime_s) this.forget(); // another server
    this.snapshot = snapshot;
    this.noticed = [];
    this.total.rate.add(snapshot.rate ?? 0);
    this.total.lag.add(snapshot.lag_ms);
    this.taking = true;
    this.build(now);
    this.taking = false;
  }

  forget() {
    this.histories.clear();
    this.known.clear();
    this.pages.clear();
    this.total = { rate: new History(), lag: new History() };
  }

  /** @param {number} now */
  build(now) {
    /** @type {Entry[]} */ const path = [];
    const seen = new Set();
    this.roots = [];
    for (const row of this.snapshot?.rows ?? []) {
      const entry = this.entry(row, now, seen);
      path.length = row.level - 1;
      (path.at(-1)?.children ?? this.roots).push(entry);
      for (const above of path) above.below += row.count ?? 1;
      path.push(entry);
    }
    for (const map of [this.histories, this.known]) {
      for (const key of map.keys()) if (!seen.has(key)) map.delete(key);
    }
  }

  /** @param {Row} row @param {number} now @param {Set<string>} seen @returns {Entry} */
  entry(row, now, seen) {
    const group = row.count !== undefined;
    const key = group ? `${row.path} ${row.kind}` : row.path;
    seen.add(key);
    let history = this.histories.get(key);
    if (!history) this.histories.set(key, (history = new History()));
    if (this.taking) history.add(row.rate ?? 0);
    if (!group) this.noteRestart(row, now);
    const members = (row.members ?? []).map((member) => this.entry(member, now, seen));
    const entry = { key, row, children: members, below: 0, group, more: 0 };
    if (group) this.addPages(entry, seen);
    return entry;
  }

  /** @param {Row} row @param {number} now */
  noteRestart(row, now) {
    const before = this.known.get(row.path);
    if (before && before.incarnation === row.incarnation) return;
    const fresh = before || this.restartedLately(row);
    this.known.set(row.path, { incarnation: row.incarnation, since: fresh ? now : -FRESH_S });
    if (before && row.incarnation > before.incarnation) {
      const { path, incarnation, last_error } = row;
      this.noticed.push({ at: this.snapshot?.at ?? "", path, incarnation, reason: last_error ?? "" });
    }
  }

  /** @param {Row} row @returns {boolean} whether it came back just before this page saw it first */
  restartedLately(row) {
    const { recent = [], at = "" } = this.snapshot ?? {};
    return recent.some((each) => each.path === row.path && each.incarnation === row.incarnation && each.at === at);
  }

  /** @param {Entry} entry a group @param {Set<string>} seen */
  addPages(entry, seen) {
    const page = this.pages.get(entry.key);
    const shown = new Set(entry.children.map((child) => child.key));
    for (const row of page?.rows ?? []) {
      if (shown.has(row.path)) continue;
      seen.add(row.path);
      entry.children.push({ key: row.path, row, children: [], below: 0, group: false, more: 0 });
    }
    const listed = !parentOf(entry.row.path).includes("*"); // a group below a group cannot be asked for
    entry.more = listed ? Math.max(0, (entry.row.count ?? 0) - entry.children.length) : 0;
  }

  /** @param {string} key @returns {History|undefined} */
  history(key) {
    return this.histories.get(key);
  }

  /** @param {Entry} entry @returns {boolean|null} null: there is nothing to open */
  isOpen(entry) {
    if (!entry.group && !entry.children.length) return null;
    return entry.group ? this.opened.has(entry.key) : !this.closed.has(entry.key);
  }

  /** @param {Entry} entry @param {boolean} open */
  setOpen(entry, open) {
    if (entry.group) this.opened[open ? "add" : "delete"](entry.key);
    else this.closed[open ? "delete" : "add"](entry.key);
  }

  /** @param {boolean} open what is not a group: those are opened one by one */
  setAllOpen(open) {
    this.closed.clear();
    if (open) return;
    this.opened.clear();
    const visit = (/** @type {Entry[]} */ entries) => {
      for (const entry of entries) {
        if (entry.children.length && !entry.group && entry.row.level > 1) this.closed.add(entry.key);
        visit(entry.children);
      }
    };
    visit(this.roots);
  }

  /** @param {number} now @returns {Item[]} what is to be seen, from top to bottom */
  items(now) {
    /** @type {Item[]} */ const items = [];
    const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const passing = words.length ? new Set() : null;
    if (passing) for (const root of this.roots) this.pass(root, words, passing);
    this.lay(this.roots, 1, "", null, now, passing, items);
    return items;
  }

  /** Keep what fits, and all that is above it.
   * @param {Entry} entry @param {string[]} words @param {Set<string>} passing @returns {boolean} */
  pass(entry, words, passing) {
    const { path, kind, state, states, last_error, suspended, traced } = entry.row;
    const text = `${path} ${kind} ${state ?? Object.keys(states ?? {}).join(" ")} ${last_error ?? ""} ${suspended ? "suspended" : ""} ${traced ? "traced" : ""}`.toLowerCase();
    let fits = words.every((word) => text.includes(word));
    for (const child of entry.children) fits = this.pass(child, words, passing) || fits;
    if (fits) passing.add(entry.key);
    return fits;
  }

  /** @param {Entry[]} entries @param {number} level @param {string} guides @param {string|null} parent
   * @param {number} now @param {Set<string>|null} passing @param {Item[]} items */
  lay(entries, level, guides, parent, now, passing, items) {
    const shown = passing ? entries.filter((entry) => passing.has(entry.key)) : [...entries];
    const order = ORDERS[this.sort];
    if (order) shown.sort((a, b) => order(a.row, b.row));
    shown.forEach((entry, i) => {
      const last = i === shown.length - 1;
      const own = level === 1 ? "" : guides + (last ? "e" : "t");
      const inner = level === 1 ? "" : guides + (last ? " " : "l");
      const fits = passing && entry.children.some((child) => passing.has(child.key));
      const open = fits && !entry.group ? true : this.isOpen(entry);
      const fresh = now - (this.known.get(entry.key)?.since ?? -FRESH_S) < FRESH_S;
      const common = { entry, level, fresh, place: i + 1, of: shown.length, parent };
      items.push({ ...common, key: entry.key, guides: own, open, type: entry.group ? "group" : "actor" });
      const goesOn = open && (entry.children.length > 0 || entry.more > 0);
      if (this.detailed.has(entry.key)) {
        items.push({ ...common, key: `${entry.key} details`, guides: inner + (goesOn ? "l" : " "), open: null, type: "details" });
      }
      if (!open) return;
      const before = items.length;
      this.lay(entry.children, level + 1, inner, entry.key, now, passing, items);
      if (!entry.more || passing) return;
      for (const item of items.slice(before)) item.guides = unfinished(item.guides, inner.length);
      items.push({ ...common, key: `${entry.key} more`, level: level + 1, guides: `${inner}e`, open: null, parent: entry.key, type: "more" });
    });
  }
}

/** @param {string} guides @param {number} at @returns {string} the line at that depth goes on below */
function unfinished(guides, at) {
  const sign = guides[at] === "e" ? "t" : guides[at] === " " ? "l" : guides[at];
  return guides.slice(0, at) + sign + guides.slice(at + 1);
}
