/** The observer: the supervision tree of the running server, live. */

import { byId, el } from "./dom.js";
import { Feed } from "./observer-feed.js";
import { clock, count, duration, millis, rate, Spark, write } from "./observer-format.js";
import { Inspector } from "./observer-inspect.js";
import { Model, PAGE, parentOf } from "./observer-model.js";
import { Operator } from "./observer-operator.js";
import { Tree } from "./observer-tree.js";

/**
 * @typedef {import("./observer-model.js").Item} Item
 * @typedef {import("./observer-model.js").Snapshot} Snapshot
 */

const LINKS = {
  connecting: "connecting",
  live: "live",
  silent: "no news for some seconds",
  busy: "server busy, retrying",
  lost: "connection lost, retrying",
  away: "resting while hidden",
};
const REFRESH_MS = 3000;
const INSPECT_MS = 1000;
const TICKER = 40;

const model = new Model();
const operator = new Operator(say, render);
const inspector = new Inspector(operator, say, render);
const filter = /** @type {HTMLInputElement} */ (byId("filter"));
const sort = /** @type {HTMLSelectElement} */ (byId("sort"));
const state = { paused: false, /** @type {Snapshot|null} */ held: null, drawing: false, saidAt: 0, /** @type {Set<string>} */ told: new Set(), /** @type {keyof typeof LINKS} */ link: "connecting" };

/** @param {string} text */
function say(text) {
  write(byId("said"), text);
  clearTimeout(state.saidAt);
  state.saidAt = window.setTimeout(() => write(byId("said"), ""), 6000);
}

const now = () => performance.now() / 1000;

/* ---- totals */

/** @typedef {{value: HTMLElement, unit: HTMLElement, spark: Spark|null}} Figure */

/** @param {string} name @param {boolean} [drawn] @returns {Figure} */
function figure(name, drawn = false) {
  const value = el("span", { class: "num" }, "–");
  const unit = el("span", { class: "unit" });
  const spark = drawn ? new Spark() : null;
  byId("totals").append(el("div", {}, el("dt", {}, name), el("dd", {}, value, unit, spark?.node)));
  return { value, unit, spark };
}

const figures = {
  actors: figure("Actors"),
  rate: figure("Messages/s", true),
  restarts: figure("Restarts"),
  dead: figure("Dead letters"),
  lag: figure("Loop lag", true),
  jobs: figure("Tasks"),
  watchers: figure("Watchers"),
  uptime: figure("Uptime"),
};

/** @param {Snapshot} shot */
function drawTotals(shot) {
  write(figures.actors.value, count(shot.actors));
  write(figures.rate.value, rate(shot.rate));
  figures.rate.spark?.draw(model.total.rate);
  write(figures.restarts.value, count(shot.restarts));
  write(figures.dead.value, count(shot.dead_letters));
  write(figures.lag.value, millis(shot.lag_ms));
  write(figures.lag.unit, "ms");
  figures.lag.spark?.draw(model.total.lag);
  write(figures.jobs.value, count(shot.jobs));
  write(figures.watchers.value, count(shot.watchers));
  write(figures.uptime.value, duration(shot.uptime_s));
}

/* ---- the ticker of restarts */

/** @param {import("./observer-model.js").Restart} each */
const nameOfRestart = ({ path, incarnation }) => `${path} ${incarnation}`;

/** @param {Snapshot} shot */
function drawTicker(shot) {
  const list = byId("ticker");
  const before = state.told;
  const telling = [...shot.recent, ...model.noticed];
  state.told = new Set(telling.map(nameOfRestart));
  for (const each of telling) {
    if (before.has(nameOfRestart(each))) continue;
    before.add(nameOfRestart(each));
    list.prepend(el("li", { title: `${each.path}: ${each.reason}` },
      el("time", { datetime: each.at, class: "num" }, clock(each.at)),
      el("span", { class: "who" }, each.path),
      el("span", { class: "again num" }, `incarnation ${count(each.incarnation)}`),
      el("span", { class: "why" }, each.reason)));
  }
  while (list.children.length > TICKER) list.lastElementChild?.remove();
  byId("ticker-none").hidden = list.children.length > 0;
}

/* ---- the tree */

const tree = new Tree(byId("rows"), {
  open(item, open) {
    model.setOpen(item.entry, open);
    draw(); // at once: the next key may be pressed already
  },
  details(item) {
    const { key } = item.entry;
    if (!model.detailed.delete(key)) model.detailed.add(key);
    render();
  },
  more: (item) => void load(item.entry.key, item.entry.row, (model.pages.get(item.entry.key)?.asked ?? 0) + PAGE),
  inspect(item) {
    model.detailed.add(item.entry.key);
    inspector.look(item.entry.row.path);
    render();
  },
  kill: (item, line) => void operator.kill(item, line.kill),
  pause,
  find: () => filter.focus(),
}, inspector);

/**
 * Ask for the first members of a group; what comes before them is the actor that they are under.
 * @param {string} key @param {import("./observer-model.js").Row} row @param {number} asked
 */
async function load(key, row, asked) {
  const under = parentOf(row.path);
  const answer = await fetch(`actors?under=${encodeURIComponent(under)}&limit=${asked}&offset=1`).catch(() => null);
  if (!answer?.ok) return say("The members cannot be listed now.");
  const { actors } = await answer.json();
  const members = actors.filter((/** @type {any} */ each) => parentOf(each.path) === under && each.kind === row.kind);
  model.pages.set(key, { rows: members.slice(0, asked).map((/** @type {any} */ each) => ({ ...each, rate: null })), asked });
  model.build(now());
  render();
}

/** What was listed grows old; a list that is open is asked for again. */
function refresh() {
  if (state.paused || state.link !== "live") return;
  for (const item of tree.items) {
    const page = item.type === "group" && item.open ? model.pages.get(item.key) : undefined;
    if (page && page.asked <= 4 * PAGE) void load(item.key, item.entry.row, page.asked);
  }
}

/** Who is inspected is asked for again as long as the details are open and somebody looks. */
function inspect() {
  if (state.paused || document.hidden) return;
  const shown = tree.items.filter((item) => item.type === "details");
  inspector.refresh(new Set(shown.map((item) => item.entry.key)), model.detailed);
}

/** Draw at the next occasion, once for all that happens until then. */
function render() {
  if (state.drawing) return;
  state.drawing = true;
  requestAnimationFrame(() => {
    state.drawing = false;
    draw();
  });
}

function draw() {
  const items = model.items(now());
  tree.draw(items, (key) => model.history(key));
  byId("empty").hidden = items.length > 0;
  write(byId("empty"), model.snapshot ? `Nothing fits “${model.filter}”.` : "Waiting for the first snapshot.");
}

/** @param {Snapshot} shot */
function show(shot) {
  model.take(shot, now());
  drawTotals(shot);
  drawTicker(shot);
  render();
}

/** @param {Snapshot} shot */
function take(shot) {
  if (state.paused) state.held = shot;
  else show(shot);
}

function pause() {
  state.paused = !state.paused;
  byId("pause").setAttribute("aria-pressed", String(state.paused));
  write(byId("pause"), state.paused ? "Resume" : "Pause");
  if (!state.paused && state.held) show(state.held);
  state.held = null;
  drawLink(state.link);
}

/** @param {keyof typeof LINKS} link */
function drawLink(link) {
  if (link === "live" && (state.link === "lost" || state.link === "connecting")) void operator.check();
  state.link = link;
  const shown = link === "live" && state.paused ? "paused" : link;
  byId("feed").dataset.link = shown;
  document.body.dataset.link = shown;
  write(byId("feed-text"), shown === "paused" ? "paused" : LINKS[link]);
}

const feed = new Feed(take, drawLink);
byId("pause").addEventListener("click", pause);
byId("unfold").addEventListener("click", () => (model.setAllOpen(true), render()));
byId("fold").addEventListener("click", () => (model.setAllOpen(false), render()));
filter.addEventListener("input", () => ((model.filter = filter.value.trim()), render()));
filter.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") tree.focus(tree.stops()[0]);
});
sort.addEventListener("change", () => ((model.sort = sort.value), render()));
window.setInterval(refresh, REFRESH_MS);
window.setInterval(inspect, INSPECT_MS);
void operator.check();
render();
feed.open();
