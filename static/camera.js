/** The live camera: on while it is wanted and seen, off otherwise, and remembered when it was refused. */

import { shot } from "./photo.js";

/** @typedef {"absent"|"ready"|"starting"|"live"|"refused"|"failed"} CameraState */

const KEY = "eco.camera";
const AGAIN_MS = 20_000; // a kiosk's camera that failed is tried again

/** @returns {string|null} "on" or "refused", as left by the last time */
function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {"on"|"refused"} how */
function remember(how) {
  try {
    localStorage.setItem(KEY, how);
  } catch {
    // It holds for this visit only.
  }
}

/** @param {MediaStream|null} stream */
const halt = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** @param {unknown} error of getUserMedia @returns {CameraState} */
function stateOf(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "refused";
  return name === "NotFoundError" ? "absent" : "failed";
}

export class Camera {
  /** @type {MediaStream|null} */ #stream = null;
  /** @type {string|null} */ #device = null;
  #wanted = false;
  #on = false;
  #turn = 0;
  #timer = 0;
  /** @type {CameraState} */ state = "absent";
  /** How many cameras there are. */ count = 0;

  /** Whether there is, or may be, a picture. */
  get usable() {
    return this.state === "ready" || this.state === "starting" || this.state === "live";
  }

  /** @param {HTMLVideoElement} video @param {boolean} eager start without being asked, and try again by itself @param {() => void} changed */
  constructor(video, eager, changed) {
    this.video = video;
    this.eager = eager;
    this.changed = changed;
    document.addEventListener("visibilitychange", () => this.#sync());
    window.addEventListener("pagehide", () => this.#stop());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#recount());
  }

  /** Look whether there is a camera that this page may ask for. */
  async find() {
    await this.#recount();
    const allowed = this.eager || (remembered() === "on" && (await this.#granted()));
    if (allowed && this.state === "ready") this.open();
  }

  /** @returns {Promise<boolean>} whether starting would not ask */
  async #granted() {
    try {
      return (await navigator.permissions.query({ name: /** @type {PermissionName} */ ("camera") })).state === "granted";
    } catch {
      return false;
    }
  }

  async #recount() {
    const devices = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices().catch(() => []) : [];
    this.count = devices.filter(({ kind }) => kind === "videoinput").length;
    if (!this.count && this.state !== "live") return this.#tell("absent");
    if (this.state !== "absent") return this.changed();
    this.#tell(remembered() === "refused" && !this.eager ? "refused" : "ready");
    if (this.eager) this.open();
  }

  /** Somebody wants to see it. */
  open() {
    this.#on = true;
    this.#sync();
  }

  /** @param {boolean} wanted whether there is a place for it on screen */
  want(wanted) {
    this.#wanted = wanted;
    this.#sync();
  }

  /** The next camera. */
  async turn() {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    const now = this.#stream?.getVideoTracks()[0]?.getSettings().deviceId;
    const next = devices[(devices.findIndex(({ deviceId }) => deviceId === now) + 1) % devices.length];
    this.#device = next?.deviceId ?? null;
    this.#stop();
    this.#sync();
  }

  /** @returns {Promise<import("./photo.js").Photo|null>} null while there is no picture */
  shoot() {
    return this.state === "live" ? shot(this.video) : Promise.resolve(null);
  }

  /** @param {CameraState} state */
  #tell(state) {
    this.state = state;
    this.changed();
  }

  #sync() {
    const should = this.#on && this.#wanted && !document.hidden;
    if (should && !this.#stream && this.state !== "starting") this.#start();
    else if (!should) this.#stop();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    halt(this.#stream);
    this.#stream = null;
    this.video.srcObject = null;
    if (this.state === "live" || this.state === "starting") this.#tell("ready");
  }

  async #start() {
    const turn = ++this.#turn;
    this.#tell("starting");
    const which = this.#device ? { deviceId: { exact: this.#device } } : { facingMode: "environment" };
    const size = { width: { ideal: 1280 }, height: { ideal: 960 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...which, ...size } });
      if (turn !== this.#turn) return halt(stream);
      this.#stream = stream;
      this.#show(stream);
      await this.video.play().catch(() => {});
      remember("on");
      if (turn === this.#turn) this.#tell("live");
      this.#recount(); // names and number are known once it is allowed
    } catch (error) {
      if (turn === this.#turn) this.#fail(stateOf(error));
    }
  }

  /** @param {MediaStream} stream */
  #show(stream) {
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.#stream === stream && (this.#stop(), this.#fail("failed")));
    const { facingMode } = track.getSettings();
    this.video.classList.toggle("mirrored", facingMode === "user" || (!facingMode && !this.eager));
    this.video.srcObject = stream;
  }

  /** @param {CameraState} state */
  #fail(state) {
    this.#on = false;
    this.#device = null;
    if (state === "refused") remember("refused");
    this.#tell(state);
    if (this.eager) this.#timer = setTimeout(() => this.open(), AGAIN_MS);
  }
}
