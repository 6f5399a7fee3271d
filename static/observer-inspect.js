/** One actor from the inside: what it holds, what it was told lately, and a hand on its mailbox. */

import { el } from "./dom.js";
import { count, mark, write } from "./observer-format.js";
import { post, reason } from "./observer-operator.js";

/**
 * @typedef {{at: string, kind: string, text: string, ago_s: number}} Taken
 * @typedef {{path: string, kind: string, state: string, incarnation: number, suspended: boolean,
 *   attributes: Record<string, string>, trace: {most: number, messages: Taken[]}}} Told
 * @typedef {{told: Told|null, problem: string, asking: boolean, deeds: number}} Place
 * @typedef {import("./observer-model.js").Row} Row
 * @typedef {import("./observer-operator.js").Operator} Operator
 */

/** Messages that a trace keeps when it is begun here, and that are shown of any. */
const LAST = 50;

/** Who is looked into, and what the server told of them last. */
export class Inspector {
  /** @param {Operator} operator @param {(text: string) => void} say @param {() => void} changed */
  constructor(operator, say, changed) {
    this.operator = operator;
    this.say = say;
    this.changed = changed;
    /** @type {Map<string, Place>} */ this.open = new Map();
  }

  /** @param {string} path @returns {Place} */
  place(path) {
    let place = this.open.get(path);
    if (!place) this.open.set(path, (place = { told: null, problem: "", asking: false, deeds: 0 }));
    return place;
  }

  /** @param {string} path */
  look(path) {
    if (!this.operator.known) return this.operator.ask();
    this.place(path);
    this.changed();
    void this.ask(path);
  }

  /** @param {string} path */
  leave(path) {
    this.open.delete(path);
    this.changed();
  }

  /** Ask again for those that are on the page; whose details were closed is not looked into any more.
   * @param {Set<string>} shown @param {Set<string>} detailed */
  refresh(shown, detailed) {
    for (const path of this.open.keys()) {
      if (!detailed.has(path)) this.open.delete(path);
      else if (shown.has(path) && this.operator.known) void this.ask(path);
    }
  }

  /** @param {string} path */
  async ask(path) {
    const place = this.open.get(path);
    if (!place || place.asking) return;
    const { deeds } = place;
    place.asking = true;
    const answer = await fetch(`actors/inspect?path=${encodeURIComponent(path)}&last=${LAST}`).catch(() => null);
    if (deeds === place.deeds) await this.take(path, answer); // else it may be older than what was done
    place.asking = false;
  }

  /** @param {string} path @param {"trace"|"suspend"|"resume"} deed @param {Record<string, unknown>} [more] */
  async act(path, deed, more = {}) {
    this.place(path).deeds += 1;
    const answer = await post(`actors/${deed}`, { path, ...more }).catch(() => null);
    if (await this.take(path, answer)) this.say(SAID[more.most === 0 ? "untrace" : deed](path));
  }

  /** @param {string} path @param {Response|null} answer @returns {Promise<boolean>} whether it is good news */
  async take(path, answer) {
    const place = this.open.get(path);
    if (answer?.status === 401) {
      this.operator.become(false);
      this.operator.ask();
    } else if (place && answer?.ok) {
      place.told = await answer.json();
      place.problem = "";
    } else if (place) {
      place.problem = answer ? await reason(answer) : "The server cannot be reached.";
    }
    this.changed();
    return answer?.ok ?? false;
  }
}

/** @type {Record<string, (path: string) => string>} */
const SAID = {
  trace: (path) => `${path} is traced until somebody stops it.`,
  untrace: (path) => `${path} is no longer traced.`,
  suspend: (path) => `${path} is suspended until somebody resumes it.`,
  resume: (path) => `${path} goes on.`,
};

/** The part of an actor's details that only an operator sees. */
export class InspectionView {
  /** @param {Inspector} inspector */
  constructor(inspector) {
    this.inspector = inspector;
    this.path = "";
    this.traced = false;
    this.suspended = false;
    const act = (/** @type {string} */ text, /** @type {() => void} */ click) => el("button", { type: "button", class: "act", click }, text);
    this.look = act("Inspect", () => (inspector.open.has(this.path) ? inspector.leave(this.path) : inspector.look(this.path)));
    this.trace = act("Trace", () => void inspector.act(this.path, "trace", { most: this.traced ? 0 : LAST }));
    this.hold = act("Suspend", () => void inspector.act(this.path, this.suspended ? "resume" : "suspend"));
    this.acts = el("div", { class: "inspect-acts" }, this.look, this.trace, this.hold);
    this.note = el("p", { class: "inspect-note", role: "status" });
    this.hint = el("p", { class: "inspect-hint" }, "An operator can look inside, trace its messages and suspend it. ", act("Log in", () => inspector.operator.ask()));
    this.held = new Held();
    this.taken = new TakenList();
    this.node = el("section", { class: "inspect" }, this.hint, this.acts, this.note, this.held.node, this.taken.node);
  }

  /** @param {Row} row */
  draw(row) {
    this.node.hidden = row.count !== undefined; // a group has no inside, its members have
    if (this.node.hidden) return;
    const { inspector } = this;
    this.path = row.path;
    const known = inspector.operator.known;
    const place = known ? inspector.open.get(row.path) : undefined;
    const told = place?.told ?? null;
    this.traced = told ? told.trace.most > 0 : row.traced !== undefined;
    this.suspended = told ? told.suspended : row.suspended !== undefined;
    mark(this.node, "aria-label", `Inside ${row.path}`);
    this.hint.hidden = known;
    this.acts.hidden = !known;
    mark(this.look, "aria-expanded", String(place !== undefined));
    write(this.trace, this.traced ? "Stop trace" : "Trace");
    mark(this.trace, "data-on", this.traced ? "" : null);
    write(this.hold, this.suspended ? "Resume" : "Suspend");
    mark(this.hold, "data-on", this.suspended ? "" : null);
    this.hold.hidden = /Supervisor/.test(row.kind) && !this.suspended; // its children would not be restarted
    this.drawNote(row, place?.problem ?? "");
    this.held.draw(told);
    this.taken.draw(told);
  }

  /** @param {Row} row @param {string} problem */
  drawNote(row, problem) {
    const waiting = row.mailbox.depth;
    const waits = `It is suspended and takes nothing until it is resumed; ${count(waiting)} ${waiting === 1 ? "message waits" : "messages wait"}.`;
    write(this.note, problem || (this.suspended ? waits : ""));
    mark(this.note, "data-problem", problem ? "" : null);
    this.note.hidden = this.acts.hidden || !this.note.textContent;
  }
}

/** The attributes of an actor. */
class Held {
  constructor() {
    this.body = el("tbody", {});
    this.table = el("table", { class: "attributes" }, el("caption", {}, "Attributes"), this.body);
    this.none = el("p", { class: "inspect-none" }, "It has no attributes.");
    this.node = el("div", {}, this.table, this.none);
    /** @type {Map<string, {node: HTMLElement, value: HTMLElement}>} */ this.lines = new Map();
  }

  /** @param {Told|null} told */
  draw(told) {
    const held = Object.entries(told?.attributes ?? {});
    this.node.hidden = told === null;
    this.table.hidden = held.length === 0;
    this.none.hidden = held.length > 0;
    const wanted = new Set(held.map(([name]) => name));
    for (const [name, line] of this.lines) {
      if (wanted.has(name)) continue;
      line.node.remove();
      this.lines.delete(name);
    }
    for (const [name, text] of held) {
      let line = this.lines.get(name);
      if (!line) {
        const value = el("td", {});
        line = { node: el("tr", {}, el("th", { scope: "row" }, name), value), value };
        this.lines.set(name, line);
        this.body.append(line.node);
      }
      write(line.value, text);
    }
  }
}

/** The messages that a trace has kept, the newest first. */
class TakenList {
  constructor() {
    this.title = el("h3", {});
    this.list = el("ol", { class: "messages", tabindex: "0", "aria-label": "Last messages" });
    this.none = el("p", { class: "inspect-none" }, "It has taken none since the trace began.");
    this.node = el("div", { class: "taken" }, this.title, this.list, this.none);
    /** @type {Map<string, {node: HTMLElement, ago: HTMLElement}>} */ this.lines = new Map();
  }

  /** @param {Told|null} told */
  draw(told) {
    const { most, messages } = told?.trace ?? { most: 0, messages: [] };
    this.node.hidden = most === 0;
    write(this.title, `Last messages (of at most ${count(most)} that are kept)`);
    this.list.hidden = messages.length === 0;
    this.none.hidden = messages.length > 0;
    /** @type {Map<string, number>} */ const same = new Map();
    const keyed = messages.map((each) => {
      const text = `${each.at} ${each.kind} ${each.text}`;
      same.set(text, (same.get(text) ?? 0) + 1);
      return { key: `${text} ${same.get(text)}`, each };
    });
    const wanted = new Set(keyed.map(({ key }) => key));
    for (const [key, line] of this.lines) {
      if (wanted.has(key)) continue;
      line.node.remove();
      this.lines.delete(key);
    }
    for (const { key, each } of keyed) {
      let line = this.lines.get(key);
      if (!line) {
        const ago = el("time", { class: "num", datetime: each.at, title: each.at });
        line = { node: el("li", {}, ago, el("span", { class: "message-kind" }, each.kind), el("code", {}, each.text)), ago };
        this.lines.set(key, line);
        this.list.prepend(line.node);
      }
      write(line.ago, `${ago(each.ago_s)} ago`);
    }
  }
}

/** @param {number} seconds */
function ago(seconds) {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
