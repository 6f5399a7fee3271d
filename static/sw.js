/**
 * The page while its server does not answer: a service worker that keeps the shell, and nothing else.
 *
 * It looks after the page and the files that make it up. Scans, streams and whatever else the server says never pass
 * through here: without respondWith the browser asks by itself, as if there were no worker.
 *
 * The page comes from the network first. Its files are of the version that the page said it is: from our copy of that
 * version, or from the server as long as it sends that version, else not at all. Which page is of which version is
 * written down, so the next worker knows it, and so do we when the browser had ended us in between. Copies are whole, and
 * that of the version that ran before ours stays until the next comes, for pages that are still of it.
 *
 * A page that was there before any worker is taken for one of the version of the first worker: pages register us when
 * they have all their files. Any other page of which nothing is known is left to the server. Where the browser's disk is
 * full or cannot be read, pages load as if there were no worker.
 *
 * The server serves this file as sw.js, right at its mount, with a line before it that says what there is to keep:
 * const SHELL = { version, files }, with addresses relative to the mount.
 */

const PATIENCE_MS = 4000; // a server that takes longer than this is as good as stopped, where there is a copy
const PAGES = 100; // whose version is remembered, besides those that are open

const MOUNT = new URL("./", location.href).href;
const FILES = new Set(SHELL.files.map((file) => new URL(file, MOUNT).href));
const OURS = `eco-shell ${MOUNT} `; // other mounts of this origin have caches, too
const CACHE = OURS + SHELL.version;
const NOTES = `eco-pages ${MOUNT}`; // the version of each page, and the one that runs
const RUNNING = `${MOUNT}?running`;

/** @type {Map<string, string>} */ const unwritten = new Map(); // notes for which the disk had no room

/** @param {string} client */
const noteOf = (client) => `${MOUNT}?client=${client}`;

const pages = () => self.clients.matchAll({ includeUncontrolled: true, type: "window" });

/** @param {string} note @param {string} version */
async function write(note, version) {
  const notes = await caches.open(NOTES);
  await notes.put(note, new Response(version));
}

/** @param {string} note @returns {Promise<string|undefined>} */
const read = async (note) => (await caches.match(note, { cacheName: NOTES }))?.text();

/** Forget pages that are closed, the oldest first. */
async function forget() {
  const notes = await caches.open(NOTES);
  const old = (await notes.keys()).filter(({ url }) => url !== RUNNING).slice(0, -PAGES);
  if (!old.length) return;
  const open = new Set((await pages()).map(({ id }) => noteOf(id)));
  await Promise.all(old.filter(({ url }) => !open.has(url)).map((note) => notes.delete(note)));
}

/** @param {string} client @param {string} version */
async function remember(client, version) {
  try {
    await write(noteOf(client), version);
    await forget();
  } catch {
    unwritten.set(client, version); // enough for the page to load
    if (unwritten.size > PAGES) unwritten.delete([...unwritten.keys()][0]);
  }
}

/** @param {string} client @returns {Promise<string|undefined>} the version of the page */
const noted = async (client) => unwritten.get(client) ?? read(noteOf(client)).catch(() => undefined);

/** @param {Response} answer */
const versionOf = (answer) => answer.headers.get("Eco-Shell") ?? "";

/** @param {Cache} cache @param {string} address */
async function keep(cache, address) {
  const answer = await fetch(address, { cache: "no-cache", redirect: "error" }); // no page may be given a redirected one
  if (!answer.ok || versionOf(answer) !== SHELL.version) throw new Error(`${address} is not of version ${SHELL.version}`);
  await cache.put(address, answer);
}

/** Keep all of the shell, or nothing new of it: the browser tries again at the next load. */
async function keepAll() {
  const before = await caches.has(CACHE);
  const cache = await caches.open(CACHE);
  const done = await Promise.allSettled([MOUNT, ...FILES].map((address) => keep(cache, address)));
  const failed = done.find(({ status }) => status === "rejected");
  if (!failed) return;
  if (!before) await caches.delete(CACHE); // else a rollback, and there are pages of it
  throw failed.reason;
}

/** Pages that were here before any worker. */
async function adopt() {
  await Promise.all((await pages()).map(({ id }) => remember(id, SHELL.version)));
}

/** Of copies, ours stays and that of the version that ran before; all of them, where nobody knows which one that is. */
async function succeed() {
  const before = await read(RUNNING);
  const others = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
  const dropped = before === undefined ? [] : others.filter((name) => name !== OURS + before);
  if (before === undefined && !others.length) await adopt();
  await Promise.all(dropped.map((name) => caches.delete(name)));
  await write(RUNNING, SHELL.version);
}

/** @param {string} address @param {string} [version] @returns {Promise<Response|undefined>} the copy of that version */
const kept = (address, version = SHELL.version) =>
  caches.match(address, { cacheName: OURS + version, ignoreVary: true }).catch(() => undefined);

/** @param {Response} answer a proxy says 5xx for a server that is gone */
const isAnswer = (answer) => answer.status < 500;

/**
 * @param {Request} request
 * @param {string} address what it is kept as
 * @returns {Promise<{answer: Response, copied: boolean}>} the server's answer, or the copy where the server is silent
 */
async function ask(request, address) {
  const copy = await kept(address);
  if (!copy) return { answer: await fetch(request), copied: false };
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const answer = await Promise.race([fetch(request), late]).catch(() => undefined);
  return answer && isAnswer(answer) ? { answer, copied: false } : { answer: copy, copied: true };
}

/** @param {FetchEvent} event */
async function page({ request, resultingClientId }) {
  const { answer, copied } = await ask(request, MOUNT);
  const version = copied ? SHELL.version : versionOf(answer);
  if (version) await remember(resultingClientId, version); // else it is somebody else's: a proxy that asks who this is
  return answer;
}

/** @param {FetchEvent} event @param {string} address */
async function file({ request, clientId }, address) {
  const version = await noted(clientId);
  if (version === undefined) return fetch(request);
  const copy = await kept(address, version);
  if (copy) return copy;
  const answer = await fetch(request);
  return versionOf(answer) === version ? answer : Response.error();
}

// A new version takes over at once: a kiosk's page is never closed, and would keep the old one for good.
self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(succeed().finally(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  const address = origin + pathname;
  if (method !== "GET") return;
  if (mode === "navigate") {
    if (address === MOUNT) event.respondWith(page(event));
  } else if (FILES.has(address)) {
    event.respondWith(file(event, address));
  }
});
