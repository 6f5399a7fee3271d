/** Who is an operator, how one becomes one, and the killing, which is asked for twice where much is below. */

import { byId } from "./dom.js";
import { count, write } from "./observer-format.js";

/** @typedef {import("./observer-model.js").Item} Item */

const ARMED_MS = 4000;

/** @param {string} path @param {unknown} body @returns {Promise<Response>} */
export const post = (path, body) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** @param {Response} answer @returns {Promise<string>} */
export async function reason(answer) {
  const problem = await answer.json().catch(() => null);
  return problem?.detail ?? `the server answered ${answer.status}`;
}

export class Operator {
  /** @param {(text: string) => void} say @param {() => void} changed */
  constructor(say, changed) {
    this.say = say;
    this.changed = changed;
    this.known = false;
    /** @type {{path: string, timer: number, button: HTMLElement}|null} */ this.armed = null;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("login"));
    this.token = /** @type {HTMLInputElement} */ (byId("token"));
    byId("operator").addEventListener("click", () => this.ask());
    byId("login-cancel").addEventListener("click", () => this.dialog.close());
    byId("login-form").addEventListener("submit", (event) => (event.preventDefault(), this.login()));
    this.dialog.addEventListener("close", () => (this.token.value = ""));
  }

  /** Ask the server whether this browser is an operator's. */
  async check() {
    const answer = await fetch("operator").catch(() => null);
    const told = answer?.ok ? await answer.json().catch(() => null) : null;
    this.become(told?.operator === true);
  }

  /** @param {boolean} known */
  become(known) {
    this.known = known;
    const button = /** @type {HTMLButtonElement} */ (byId("operator"));
    write(button, known ? "Operator" : "Log in");
    button.disabled = known;
    document.body.toggleAttribute("data-operator", known);
    this.changed();
  }

  ask() {
    byId("login-error").hidden = true;
    this.dialog.showModal();
    this.token.focus();
  }

  async login() {
    const answer = await post("login", { token: this.token.value.trim() }).catch(() => null);
    if (answer?.ok) {
      this.dialog.close();
      this.become(true);
      this.say("Logged in: actors can be killed, looked into and suspended now.");
      return;
    }
    const error = byId("login-error");
    error.hidden = false;
    write(error, answer ? await reason(answer) : "The server cannot be reached.");
    this.token.select();
  }

  /** @param {Item} item @param {HTMLElement} button */
  async kill(item, button) {
    const { path, kind } = item.entry.row;
    if (!this.known) return this.ask();
    const heavy = item.entry.below > 0 || /Supervisor/.test(kind);
    if (heavy && this.armed?.path !== path) return this.arm(item, button);
    this.disarm();
    const answer = await post("actors/kill", { path }).catch(() => null);
    if (answer?.ok) this.say(`Killed ${path}.`);
    else if (answer?.status === 401 || answer?.status === 403) {
      this.become(false);
      this.ask();
    } else this.say(`Not killed: ${answer ? await reason(answer) : "the server cannot be reached."}`);
  }

  /** @param {Item} item @param {HTMLElement} button */
  arm(item, button) {
    this.disarm();
    const { row, below } = item.entry;
    const text = below ? `With ${count(below)} below?` : "Sure?";
    button.setAttribute("data-armed", "");
    write(button, text);
    this.say(`${row.path} ${below ? `and ${count(below)} below it` : ""} will be killed: press again to do it.`);
    this.armed = { path: row.path, button, timer: window.setTimeout(() => this.disarm(), ARMED_MS) };
  }

  disarm() {
    if (!this.armed) return;
    clearTimeout(this.armed.timer);
    this.armed.button.removeAttribute("data-armed");
    write(this.armed.button, "Kill");
    this.armed = null;
  }
}
