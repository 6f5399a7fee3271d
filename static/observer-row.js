/** One line of the tree: made once, then changed where something changed. */

import { el } from "./dom.js";
import { count, mark, rate, Spark, write } from "./observer-format.js";
import { InspectionView } from "./observer-inspect.js";
import { lost, nameOf, PAGE } from "./observer-model.js";

/** @typedef {import("./observer-model.js").Item} Item */
/** @typedef {import("./observer-model.js").Row} Row */

const COUNTERS = ["offered", "accepted", "refused", "dropped", "handled", "replaced", "coalesced", "dead", "expired"];

/** The lines of the tree before a name. */
class Guides {
  constructor() {
    this.node = el("span", { class: "guides", "aria-hidden": "true" });
    this.shown = "";
  }

  /** @param {string} guides a sign a level: t and e branch off, l goes on */
  draw(guides) {
    if (guides === this.shown) return;
    this.shown = guides;
    this.node.replaceChildren(...Array.from(guides, (sign) => el("i", { class: `g-${sign === " " ? "none" : sign}` })));
  }
}

/** @param {string} name @param {...Node} inside @returns {HTMLElement} */
const cell = (name, ...inside) => el("span", { class: name, role: "gridcell" }, ...inside);

/** @param {Row} row @returns {[string, string]} its state, in a word and as it is shown */
function stateOf(row) {
  if (!row.states) return row.suspended && row.state === "running" ? ["suspended", "suspended"] : [row.state, row.state];
  const states = Object.entries(row.states);
  if (states.length === 1) return [states[0][0], states[0][0]];
  const worst = ["down", "stopping", "starting", "ended", "running"].find((state) => state in (row.states ?? {}));
  return [worst ?? "running", states.map(([state, n]) => `${count(n)} ${state}`).join(", ")];
}

/** @param {HTMLElement} badge @param {boolean|number|undefined} told of a group: how many
 * @param {string} word @param {string} meaning */
function drawBadge(badge, told, word, meaning) {
  badge.hidden = !told;
  write(badge, typeof told === "number" ? `${count(told)} ${word}` : word);
  mark(badge, "title", `${word}: ${meaning}`);
}

/** An actor, or a group of actors that are alike. */
export class ActorLine {
  /** @param {string} key */
  constructor(key) {
    this.guides = new Guides();
    this.twisty = el("span", { class: "twisty", "aria-hidden": "true" });
    this.name = el("span", { class: "name-text" });
    this.kind = el("span", { class: "kind" });
    this.suspended = el("span", { class: "badge", "data-badge": "suspended" });
    this.traced = el("span", { class: "badge", "data-badge": "traced" });
    this.below = el("span", { class: "below" });
    this.stateText = el("span", {});
    this.fill = el("span", { class: "fill" });
    this.tick = el("span", { class: "tick" });
    this.track = el("span", { class: "track", "aria-hidden": "true" }, this.fill, this.tick);
    this.depth = el("span", { class: "num" });
    this.rule = el("span", { class: "rule" });
    this.rate = el("span", { class: "num" });
    this.spark = new Spark();
    this.lost = el("span", { class: "num" });
    this.incarnation = el("span", { class: "num" });
    this.error = el("span", { class: "error-text" });
    this.kill = el("button", { type: "button", class: "kill", tabindex: "-1" }, "Kill");
    this.lostCell = cell("c-lost", this.lost);
    this.errorCell = cell("c-error", this.error);
    this.mailboxCell = cell("c-mailbox", this.track, this.depth, this.rule);
    this.node = el("div", { class: "row", role: "row", tabindex: "-1", "data-key": key },
      cell("c-name", this.guides.node, this.twisty, el("i", { class: "shape", "aria-hidden": "true" }), this.name, this.suspended, this.traced, this.kind, this.below),
      cell("c-state", this.stateText), this.mailboxCell,
      cell("c-rate", this.rate, this.spark.node), this.lostCell,
      cell("c-restarts", this.incarnation), this.errorCell, cell("c-kill", this.kill));
    this.seen = 0; // the incarnation that was shown last
  }

  /** @param {Item} item @param {import("./observer-format.js").History|undefined} history */
  draw(item, history) {
    const { entry, level, open, guides } = item;
    const { row, group } = entry;
    const [state, stateText] = stateOf(row);
    mark(this.node, "aria-level", String(level));
    this.node.style.setProperty("--level", String(level));
    mark(this.node, "aria-setsize", String(item.of));
    mark(this.node, "aria-posinset", String(item.place));
    mark(this.node, "aria-expanded", open === null ? null : String(open));
    mark(this.node, "data-state", state);
    mark(this.node, "data-type", group ? "group" : entry.children.length || /Supervisor/.test(row.kind) ? "supervisor" : "worker");
    mark(this.node, "data-fresh", item.fresh ? "" : null);
    this.guides.draw(guides);
    write(this.name, group ? `${row.kind} × ${count(row.count ?? 0)}` : level === 1 ? row.path : nameOf(row));
    mark(this.name, "title", row.path);
    write(this.kind, group ? "" : row.kind);
    write(this.below, open === false && !group && entry.below ? `${count(entry.below)} below` : "");
    write(this.stateText, stateText);
    drawBadge(this.suspended, row.suspended, "suspended", "it takes no messages until it is resumed");
    drawBadge(this.traced, row.traced, "traced", "its messages are being kept, until the trace is stopped");
    this.drawMailbox(row);
    write(this.rate, rate(row.rate));
    mark(this.rate, "data-none", row.rate ? null : "");
    this.spark.draw(history);
    const gone = lost(row);
    write(this.lost, gone ? count(gone) : "–");
    mark(this.lost, "data-none", gone ? null : "");
    mark(this.lostCell, "title", gone ? `${count(row.mailbox.refused)} refused, ${count(row.mailbox.dropped)} of them by the rule drop; ${count(row.mailbox.replaced)} gave way` : null);
    this.drawIncarnation(row);
    write(this.error, row.last_error ?? "");
    mark(this.errorCell, "title", row.last_error);
    this.kill.hidden = group || level === 1; // nobody would bring the root back
    mark(this.kill, "aria-label", `Kill ${row.path}`);
  }

  /** @param {Row} row */
  drawMailbox(row) {
    const { capacity, high_water, overflow, depth } = row.mailbox;
    const deepest = row.mailbox.depth_max ?? depth;
    const full = capacity ? Math.min(1, deepest / capacity) : 0;
    const high = capacity ? Math.min(1, high_water / capacity) : 0;
    this.fill.style.setProperty("--full", full.toFixed(3));
    this.tick.style.setProperty("--high", high.toFixed(3));
    this.tick.hidden = !high_water;
    const calm = overflow === "latest" || overflow === "coalesce"; // to be full is what they are for
    mark(this.track, "data-level", calm || full < 0.5 ? null : full < 0.9 ? "mid" : "high");
    const sum = row.mailbox.depth_max !== undefined;
    write(this.depth, sum ? `Σ ${count(depth)}` : `${count(depth)}/${count(capacity ?? 0)}`);
    mark(this.depth, "data-none", depth ? null : "");
    write(this.rule, overflow);
    const most = !sum ? "" : `, the deepest has ${count(deepest)}`;
    mark(this.mailboxCell, "title", `${count(depth)} waiting${most}; room for ${capacity ?? "various"}; at most ${count(high_water)} so far; when full: ${overflow}`);
  }

  /** @param {Row} row */
  drawIncarnation(row) {
    if (row.count !== undefined) {
      write(this.incarnation, row.restarts ? `${count(row.restarts)} restart${row.restarts > 1 ? "s" : ""}` : "–");
      mark(this.incarnation, "data-none", row.restarts ? null : "");
      return;
    }
    const again = row.incarnation > 1;
    write(this.incarnation, again ? `incarnation ${count(row.incarnation)}` : "1");
    mark(this.incarnation, "data-none", again ? null : "");
    mark(this.incarnation, "data-again", again ? "" : null);
    if (this.seen && row.incarnation > this.seen) this.pulse();
    this.seen = row.incarnation;
  }

  pulse() {
    this.node.classList.remove("pulse");
    void this.node.offsetWidth; // so that it begins again
    this.node.classList.add("pulse");
  }
}

/** What else is known of an actor. */
export class DetailsLine {
  /** @param {string} key @param {import("./observer-inspect.js").Inspector} inspector */
  constructor(key, inspector) {
    this.guides = new Guides();
    this.inside = new InspectionView(inspector);
    this.path = el("code", { class: "path" });
    this.values = new Map(COUNTERS.map((name) => [name, el("dd", { class: "num" })]));
    this.law = el("p", { class: "law" });
    this.errorTitle = el("p", { class: "error-title" });
    this.error = el("pre", { class: "error-full" });
    const counters = COUNTERS.map((name) => el("div", {}, el("dt", {}, name), /** @type {HTMLElement} */ (this.values.get(name))));
    this.node = el("div", { class: "row details", role: "row", "data-key": key },
      el("div", { class: "details-cell", role: "gridcell", "aria-colspan": "8" }, this.guides.node,
        el("div", { class: "card" }, this.path, el("dl", { class: "counters" }, ...counters), this.law, this.errorTitle, this.error, this.inside.node)));
  }

  /** @param {Item} item */
  draw(item) {
    const { row } = item.entry;
    const box = row.mailbox;
    this.guides.draw(item.guides);
    write(this.path, row.path);
    for (const [name, node] of this.values) write(node, count(box[/** @type {"offered"} */ (name)]));
    const ended = box.handled + box.replaced + box.coalesced + box.dead + box.expired;
    const inHand = Math.max(0, box.accepted - ended - box.depth);
    write(this.law, `${count(box.offered)} offered = ${count(box.accepted)} accepted + ${count(box.refused)} refused; accepted = ${count(ended)} done with + ${count(inHand)} in hand + ${count(box.depth)} waiting (at most ${count(box.high_water)} so far).`);
    this.error.hidden = this.errorTitle.hidden = !row.last_error;
    write(this.errorTitle, "Last error");
    write(this.error, row.last_error ?? "");
    this.inside.draw(row);
  }
}

/** The way to the rest of a group. */
export class MoreLine {
  /** @param {string} key */
  constructor(key) {
    this.guides = new Guides();
    this.text = el("span", { class: "more" });
    this.node = el("div", { class: "row more-row", role: "row", tabindex: "-1", "data-key": key },
      el("span", { class: "c-name", role: "gridcell", "aria-colspan": "8" }, this.guides.node, this.text));
  }

  /** @param {Item} item */
  draw(item) {
    this.guides.draw(item.guides);
    mark(this.node, "aria-level", String(item.level));
    write(this.text, `Show ${count(Math.min(PAGE, item.entry.more))} more of ${count(item.entry.more)}`);
  }
}
