/** The tree on the page: its lines by key, in order, and the keyboard and mouse upon them. */

import { ActorLine, DetailsLine, MoreLine } from "./observer-row.js";

/** @typedef {import("./observer-model.js").Item} Item */
/** @typedef {ActorLine|DetailsLine|MoreLine} Line */

/**
 * @typedef {{open: (item: Item, open: boolean) => void, details: (item: Item) => void, more: (item: Item) => void,
 *   inspect: (item: Item) => void, kill: (item: Item, line: ActorLine) => void, pause: () => void, find: () => void}} Deeds
 */

export class Tree {
  /** @param {HTMLElement} body @param {Deeds} deeds @param {import("./observer-inspect.js").Inspector} inspector */
  constructor(body, deeds, inspector) {
    this.body = body;
    this.deeds = deeds;
    this.inspector = inspector;
    /** @type {Map<string, Line>} */ this.lines = new Map();
    /** @type {Item[]} */ this.items = [];
    /** @type {string|null} the line that Tab comes to */ this.current = null;
    body.addEventListener("keydown", (event) => this.key(event));
    body.addEventListener("click", (event) => this.click(event));
    body.addEventListener("focusin", (event) => this.come(this.itemAt(event.target)));
  }

  /** @param {Item[]} items @param {(key: string) => import("./observer-format.js").History|undefined} history */
  draw(items, history) {
    const focused = this.itemAt(document.activeElement)?.key ?? null;
    const active = document.activeElement;
    const button = active?.classList.contains("kill") ?? false;
    const before = this.items;
    this.items = items;
    const wanted = new Set(items.map((item) => item.key));
    for (const [key, line] of this.lines) {
      if (wanted.has(key)) continue;
      line.node.remove();
      this.lines.delete(key);
    }
    let next = this.body.firstElementChild;
    for (const item of items) {
      const line = this.line(item);
      line.draw(item, history(item.key));
      if (line.node === next) next = next.nextElementSibling;
      else this.body.insertBefore(line.node, next);
    }
    if (!this.current || !wanted.has(this.current)) this.come(this.stops()[0]);
    if (!focused || active === document.activeElement) return;
    if (active instanceof HTMLElement && this.body.contains(active)) active.focus({ preventScroll: true }); // it was moved
    else this.keepFocus(focused, button, before);
  }

  /** @param {Item} item @returns {Line} */
  line(item) {
    let line = this.lines.get(item.key);
    if (!line) {
      line = item.type === "details" ? new DetailsLine(item.key, this.inspector) : item.type === "more" ? new MoreLine(item.key) : new ActorLine(item.key);
      this.lines.set(item.key, line);
    }
    return line;
  }

  /** A line that is gone leaves the focus to the one above.
   * @param {string} key @param {boolean} button @param {Item[]} before */
  keepFocus(key, button, before) {
    let line = this.lines.get(key);
    for (let i = before.findIndex((item) => item.key === key); !line && i > 0; i--) line = this.lines.get(before[i - 1].key);
    if (!line || line.node.contains(document.activeElement)) return;
    (button && line instanceof ActorLine ? line.kill : line.node).focus({ preventScroll: true });
  }

  /** @param {EventTarget|null} node @returns {Item|undefined} */
  itemAt(node) {
    const row = node instanceof Element ? node.closest("[data-key]") : null;
    const key = row && this.body.contains(row) ? row.getAttribute("data-key") : null;
    return key === null ? undefined : this.items.find((item) => item.key === key);
  }

  /** @returns {Item[]} where the arrow keys stop */
  stops() {
    return this.items.filter((item) => item.type !== "details");
  }

  /** @param {Item|undefined} item the one that Tab comes to from now on */
  come(item) {
    if (!item || item.type === "details" || item.key === this.current) return;
    this.reach(this.current, "-1");
    this.current = item.key;
    this.reach(item.key, "0");
  }

  /** @param {string|null} key @param {string} index */
  reach(key, index) {
    const line = key === null ? undefined : this.lines.get(key);
    line?.node.setAttribute("tabindex", index);
    if (line instanceof ActorLine) line.kill.setAttribute("tabindex", index);
  }

  /** @param {Item|undefined} item */
  focus(item) {
    if (item) this.lines.get(item.key)?.node.focus();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const item = this.itemAt(event.target);
    const target = /** @type {Element} */ (event.target);
    if (!item || item.type === "details") return;
    if (item.type === "more") return this.deeds.more(item);
    if (target.closest(".kill")) return this.deeds.kill(item, /** @type {ActorLine} */ (this.lines.get(item.key)));
    if (item.open !== null && (item.type === "group" || target.closest(".twisty, .guides, .shape"))) return this.deeds.open(item, !item.open);
    if (!String(getSelection())) this.deeds.details(item);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const item = this.itemAt(event.target);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    if (item.type === "details") {
      if (event.key === "Escape") this.focus(this.items.find((each) => each.key === item.entry.key));
      return;
    }
    const onButton = /** @type {Element} */ (event.target).closest("button") !== null;
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    if (this.move(event.key, item) || this.act(event.key, item)) event.preventDefault();
  }

  /** @param {string} key @param {Item} item @returns {boolean} */
  move(key, item) {
    const stops = this.stops();
    const at = stops.indexOf(item);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: stops.length - 1, PageDown: Math.min(at + 10, stops.length - 1), PageUp: Math.max(at - 10, 0) }[key];
    if (to === undefined) return false;
    this.focus(stops[to]);
    return true;
  }

  /** @param {string} key @param {Item} item @returns {boolean} */
  act(key, item) {
    switch (key) {
      case "ArrowRight":
        if (item.open === false) this.deeds.open(item, true);
        else if (item.open) this.focus(this.stops().find((each) => each.parent === item.key));
        return true;
      case "ArrowLeft":
        if (item.open) this.deeds.open(item, false);
        else this.focus(this.items.find((each) => each.key === item.parent));
        return true;
      case "Enter":
      case " ":
        if (item.type === "more") this.deeds.more(item);
        else this.deeds.details(item);
        return true;
      case "k":
      case "Delete":
        if (item.type === "actor") this.deeds.kill(item, /** @type {ActorLine} */ (this.lines.get(item.key)));
        return true;
      case "i":
        if (item.type === "actor") this.deeds.inspect(item);
        return true;
      case "p":
        this.deeds.pause();
        return true;
      case "/":
        this.deeds.find();
        return true;
      default:
        return false;
    }
  }
}
