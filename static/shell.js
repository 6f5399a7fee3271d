/**
 * What the page is as an app: kept for when its server does not answer, installable, and aware of the server.
 *
 * Tells the window: `eco:offline` and `eco:online` when the server stops and starts answering, `eco:installable` with
 * `detail.prompt()`, which asks the user and resolves to "accepted" or "dismissed", `eco:installed`, and `eco:updated`
 * when the server has another version of the page, which a reload shows. Nothing is told before the page has loaded.
 */

const MOUNT = new URL("..", import.meta.url); // this file lies in static/
const HEALTH = new URL("healthz", MOUNT).href;

const CALM_MS = 20_000; // between looks at a server that answers, while somebody sees the page
const FIRST_MS = 1000; // before the next look at one that does not; doubles up to
const MOST_MS = 10_000;
const PATIENCE_MS = 5000; // for one look
const UPDATE_MS = 600_000; // between questions for another version, of a server that is never seen to stop

let answers = true;
let wait = FIRST_MS;
let updated = performance.now(); // the browser itself asks at each load
let timer = 0;
/** @type {Promise<boolean>|null} */ let looking = null;
/** @type {ServiceWorkerRegistration|null} */ let registration = null;

const loaded = new Promise((resolve) => {
  if (document.readyState === "complete") resolve(undefined);
  else window.addEventListener("load", resolve, { once: true });
});

/** @param {string} name @param {object} [detail] */
async function tell(name, detail) {
  await loaded;
  window.dispatchEvent(new CustomEvent(name, { detail }));
}

/** @returns {Promise<boolean>} whether somebody answers; a proxy says 5xx for a server that is gone */
async function probe() {
  try {
    const answer = await fetch(HEALTH, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    return answer.status < 500;
  } catch {
    return false;
  }
}

function plan() {
  clearTimeout(timer);
  if (document.hidden) return; // a look follows when somebody sees it again
  timer = setTimeout(look, answers ? CALM_MS : wait);
  wait = answers ? FIRST_MS : Math.min(2 * wait, MOST_MS);
}

function update() {
  updated = performance.now();
  registration?.update().catch(() => {});
}

/** @param {boolean} now */
function noted(now) {
  const changed = now !== answers;
  answers = now;
  if (changed) tell(now ? "eco:online" : "eco:offline");
  if (now && (changed || performance.now() - updated > UPDATE_MS)) update(); // it may have come back as another version
  plan();
  return now;
}

/** Whether the server answered when last looked at. */
export const isReachable = () => answers;

/** Look now, for whoever has a reason to doubt. @returns {Promise<boolean>} whether the server answers */
export function look() {
  looking ??= probe().then(noted).finally(() => (looking = null));
  return looking;
}

/** A request of the page that nobody answered. @param {PerformanceEntry} entry */
const isUnanswered = (entry) =>
  /** @type {PerformanceResourceTiming} */ (entry).responseStatus === 0 && entry.name.startsWith(MOUNT.href) && entry.name !== HEALTH;

function watch() {
  // The browser knows its network, not our server: what it says is a reason to look, no more.
  for (const hint of ["online", "offline", "pageshow"]) window.addEventListener(hint, look);
  document.addEventListener("visibilitychange", () => (document.hidden ? plan() : look()));
  const doubt = (/** @type {PerformanceObserverEntryList} */ list) => answers && list.getEntries().some(isUnanswered) && look();
  new PerformanceObserver(doubt).observe({ type: "resource" });
  look();
}

async function register() {
  if (!window.isSecureContext || !("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  let known = serviceWorker.controller !== null;
  serviceWorker.addEventListener("controllerchange", () => {
    if (known) tell("eco:updated");
    known = true;
  });
  try {
    registration = await serviceWorker.register(new URL("sw.js", MOUNT), { updateViaCache: "none" });
    known ||= registration.active?.state === "activated"; // the browser was told to reload past it
  } catch {
    // The browser or its user does not want it: the page works as before, but not without its server.
  }
}

window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  const asking = /** @type {any} */ (event);
  const prompt = async () => (await asking.prompt()).outcome;
  tell("eco:installable", { prompt });
});
window.addEventListener("appinstalled", () => tell("eco:installed"));

loaded.then(register).then(watch);
