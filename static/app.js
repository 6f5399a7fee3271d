/** Sets the page up: language, camera, buttons, and what the place and the browser have to say. */

import { Camera } from "./camera.js";
import { Comeback } from "./comeback.js";
import { relang, toggle } from "./conditions.js";
import { byId, el } from "./dom.js";
import { acts, ask, hooks, learn, render, restart, resume, retry, showHistory, take } from "./flow.js";
import { firstLang, lang, remember, speak, t } from "./i18n.js";
import { listenForPhotos } from "./intake.js";
import { Idle, kioskSeconds, lockDown } from "./kiosk.js";
import { keepSite, keptSites } from "./memory.js";
import { site } from "./scan.js";
import { dyed, icon, mark } from "./shapes.js";
import { state } from "./state.js";
import { say } from "./view.js";

const seconds = kioskSeconds();
const html = document.documentElement;

/* Camera */

const video = /** @type {HTMLVideoElement} */ (byId("video"));
const camera = new Camera(video, seconds !== null, drawCamera);

function drawCamera() {
  const { state: now, count } = camera;
  const before = byId("drop").dataset.camera;
  byId("drop").dataset.camera = now;
  byId("turn").hidden = count < 2;
  byId("open-word").textContent = t(now === "refused" ? "start.allowed" : now === "failed" ? "start.reopen" : "start.open");
  if (before !== now && !state.kiosk && (now === "refused" || now === "failed")) say(t(`camera.${now}`));
  const aims = { starting: "camera.starting", live: "camera.aim", refused: "camera.refused", failed: "camera.failed" };
  byId("aim").textContent = aims[now] ? t(aims[now]) : "";
  if (before === now || !state.kiosk) return;
  if (!camera.usable) learn().catch(() => {});
  render();
}

let shooting = false;

/** A second tap while the picture is taken is none. */
async function shoot() {
  if (shooting) return;
  shooting = true;
  const photo = await camera.shoot().finally(() => (shooting = false));
  if (photo) return ask(photo);
  byId("aim").textContent = t("camera.dark");
}

/** Where the next photo comes from. */
function focusStart() {
  const blocked = ["refused", "failed"].includes(camera.state);
  const first = ["shutter", ...(blocked ? [] : ["open-camera"]), "camera", "file", "by-hand"].map(byId).find((node) => node.getClientRects().length && !node.hidden);
  first?.focus({ preventScroll: true });
}

/* The place and its languages */

const MANY = 8; // bins: more are not shown, signs without names say nothing

/** @type {Map<string, Awaited<ReturnType<typeof site>>>} */
const sites = new Map(Object.entries(keptSites()));

function drawSite() {
  const { name, texts = {}, bins = [] } = sites.get(lang()) ?? {};
  byId("place").textContent = name || "eco_actor";
  document.title = `${t("page.title")} · ${name || "eco_actor"}`;
  byId("brand").classList.toggle("named", Boolean(name));
  state.title = texts.title ?? "";
  byId("start-title").textContent = state.title || t("start.title");
  byId("start-lead").textContent = texts.lead || t("start.lead");
  byId("notice").hidden = !texts.notice;
  byId("notice").textContent = texts.notice ?? "";
  const here = bins.filter((bin) => bin.here);
  byId("bins").hidden = here.length === 0 || here.length > MANY;
  byId("bins").replaceChildren(...here.map((bin) => dyed(el("li", { title: bin.name }, mark(bin.shape, "choice-mark"), el("span", {}, bin.name)), bin.color)));
}

async function askSite() {
  const wanted = lang();
  const said = await site(wanted).catch(() => null);
  if (said) {
    sites.set(wanted, said);
    keepSite(wanted, said);
  }
  drawSite();
}

/** @param {"ko"|"en"} wanted */
function use(wanted) {
  speak(wanted);
  drawSite();
  drawCamera();
  drawReach();
}

/** @param {"ko"|"en"} wanted */
function switchTo(wanted) {
  if (!state.kiosk) remember(wanted);
  state.told = null;
  use(wanted);
  render();
  askSite();
  learn().catch(() => {});
  if (state.phase === "answer" && !state.past && state.result.answer.lang !== wanted) relang();
}

/* The server */

let reachable = true;

/** In mid-scan the panel says it. */
function drawReach() {
  const banner = byId("reach");
  banner.hidden = reachable || ["waiting", "busy", "error"].includes(state.phase);
  if (reachable) return banner.replaceChildren();
  const title = state.kiosk ? "reach.kiosk" : navigator.onLine ? "reach.down" : "reach.offline";
  banner.replaceChildren(el("strong", {}, t(title)), " ", t(state.kiosk ? "reach.kiosk.text" : "reach.text"));
}

const isLost = () => state.phase === "error" && Boolean(state.problem?.lost);
const comeback = new Comeback(() => isLost() && retry());

/** @param {boolean} now */
function reached(now) {
  reachable = now;
  drawReach();
  say(now ? t("reach.back") : (byId("reach").textContent ?? ""));
  if (!now) return;
  askSite();
  if (state.kiosk && !camera.usable) learn().catch(() => {});
  if (isLost()) retry();
}

let outdated = false; // the server has another version of the page

/** A station is never closed: it goes over to the new version when nobody is in the middle of something. */
function renew() {
  if (outdated && state.kiosk && state.phase === "start") location.reload();
}

window.addEventListener("eco:offline", () => reached(false));
window.addEventListener("eco:online", () => reached(true));
window.addEventListener("offline", () => state.phase === "error" && render());
window.addEventListener("online", () => isLost() && retry());
window.addEventListener("eco:updated", () => {
  outdated = true;
  renew();
});
window.addEventListener("eco:installed", () => (byId("install").hidden = true));
window.addEventListener("eco:installable", (event) => {
  if (state.kiosk) return;
  const button = byId("install");
  button.hidden = false;
  button.onclick = async () => {
    button.hidden = true;
    await /** @type {CustomEvent} */ (event).detail.prompt();
  };
});

/* Going back in the browser leaves an answer, not the page. */

let returning = false;
const isDeep = () => window.history.state?.eco === true;
const deepen = () => !isDeep() && !state.kiosk && window.history.pushState({ eco: true }, "");

/** @param {import("./state.js").Phase} phase */
function moved(phase) {
  camera.want(phase === "start");
  drawReach();
  if (["waiting", "busy", "error"].includes(phase)) comeback.want(isLost());
  else comeback.settle();
  idle?.stir();
  if (phase !== "start") return void (returning || deepen());
  renew();
  focusStart();
  if (!isDeep() || returning) return;
  returning = true;
  window.history.back();
}

window.addEventListener("popstate", () => {
  if (returning) {
    returning = false;
    if (state.phase !== "start") deepen(); // a new question was faster
  } else if (state.phase !== "start" && !isDeep()) {
    restart();
  }
});

/* A station */

/** @type {Idle|null} */
let idle = null;

/** Everything as the next person expects it. */
function reset() {
  const first = firstLang();
  if (lang() !== first) switchTo(first);
  restart();
  say(t("kiosk.reset"));
}

if (seconds !== null) {
  state.kiosk = true;
  html.dataset.kiosk = "";
  lockDown();
  idle = new Idle(seconds, {
    rests: () => state.phase === "start" && lang() === firstLang() && !state.note,
    works: () => state.phase === "waiting" || state.phase === "busy",
    reset,
  });
}

/* Start */

Object.assign(acts, { toggle, relang });
hooks.moved = moved;
for (const node of document.querySelectorAll("[data-icon]")) node.replaceWith(icon(node.getAttribute("data-icon") ?? ""));
for (const choice of document.querySelectorAll(".lang")) {
  choice.addEventListener("click", () => switchTo(choice.getAttribute("data-lang") === "en" ? "en" : "ko"));
}
byId("brand").addEventListener("click", () => state.phase !== "start" && restart());
byId("to-history").addEventListener("click", showHistory);
byId("by-hand").addEventListener("click", () => acts.other());
byId("open-camera").addEventListener("click", () => camera.open());
byId("shutter").addEventListener("click", shoot);
byId("turn").addEventListener("click", () => camera.turn());
byId("preview").addEventListener("error", () => (byId("preview").hidden = true)); // the server may still read it
if (!state.kiosk) listenForPhotos(take);
use(firstLang());
if (!resume()) {
  camera.want(true);
  render();
}
camera.find().then(() => (state.kiosk && !camera.usable ? learn() : undefined)).catch(() => {});
askSite();
