/** A station's screen: nobody there for a while means the next person starts afresh. */

import { byId } from "./dom.js";
import { t } from "./i18n.js";

const AFTER_S = 45;
const GRACE_S = 10;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

/** @returns {number|null} seconds of `?kiosk` or `?kiosk=60`, 10 to 600; null without it */
export function kioskSeconds() {
  const wanted = new URLSearchParams(location.search).get("kiosk");
  if (wanted === null) return null;
  return /^\d+$/.test(wanted) ? Math.min(600, Math.max(10, Number(wanted))) : AFTER_S;
}

/** @param {Event} event @returns {boolean} false: the pointer lies still, and what is under it changed */
const moved = (event) => event.type !== "pointermove" || Boolean(/** @type {PointerEvent} */ (event).movementX || /** @type {PointerEvent} */ (event).movementY);

export class Idle {
  #timer = 0;
  #left = 0;

  /** @param {number} seconds @param {{rests: () => boolean, works: () => boolean, reset: () => void}} page `rests`: nothing to reset; `works`: somebody waits for it */
  constructor(seconds, page) {
    this.seconds = seconds;
    this.page = page;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("idle"));
    for (const sign of SIGNS) window.addEventListener(sign, (event) => moved(event) && this.#sign(event), { passive: true, capture: true });
    this.dialog.addEventListener("click", () => this.stir()); // what is behind it counts as it, too
    this.dialog.addEventListener("close", () => this.#left > 0 && this.stir());
    this.stir();
  }

  /** @param {Event} event a closed dialog must not let the rest of a tap through to what was behind it */
  #sign(event) {
    if (!this.dialog.open || event.type === "keydown") return this.stir();
    if (event.type !== "pointermove") this.#left = GRACE_S;
  }

  /** Somebody is there. */
  stir() {
    clearTimeout(this.#timer);
    this.#left = 0;
    if (this.dialog.open) this.dialog.close();
    this.#timer = setTimeout(() => this.#alone(), this.seconds * 1000);
  }

  #alone() {
    if (this.page.rests() || this.page.works()) return this.stir();
    this.#left = GRACE_S;
    this.#draw();
    this.dialog.showModal();
    byId("stay").focus();
    this.#timer = setTimeout(() => this.#count(), 1000);
  }

  #count() {
    this.#left -= 1;
    if (this.#left > 0) {
      this.#draw();
      this.#timer = setTimeout(() => this.#count(), 1000);
      return;
    }
    this.stir();
    this.page.reset();
  }

  #draw() {
    byId("idle-text").textContent = t("kiosk.text", { n: this.#left });
    byId("idle-ring").style.setProperty("--done", String(this.#left / GRACE_S));
  }
}

/** Nothing on the screen is text to select, a link to copy or a picture to drag. */
export function lockDown() {
  for (const kind of ["contextmenu", "dragstart", "selectstart", "gesturestart"]) document.addEventListener(kind, (event) => event.preventDefault());
}
