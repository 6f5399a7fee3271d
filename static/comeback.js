/** Somebody waits and nothing answers: look often whether the server is back, and go on by itself. */

import { look } from "./shell.js";

const FIRST_MS = 1000;
const GROWTH = 1.4;
const LOOK_MOST_MS = 4000; // with the jitter at most 5 s
const TRY_MOST_MS = 24_000; // the server answers, and yet the question gets none

export class Comeback {
  #timer = 0;
  #turn = 0;
  #looks = 0;
  #tries = 0;

  /** @param {() => void} back called once the server answers; not any more when it is not wanted */
  constructor(back) {
    this.back = back;
  }

  /** @param {boolean} wanted whether somebody waits for the server */
  want(wanted) {
    this.#turn += 1;
    this.#looks = 0;
    clearTimeout(this.#timer);
    if (wanted) this.#plan();
  }

  /** There was an answer, or nobody waits for one: the next trouble is a new one. */
  settle() {
    this.want(false);
    this.#tries = 0;
  }

  #plan() {
    const tried = Math.min(TRY_MOST_MS, FIRST_MS * 2 ** this.#tries);
    const looked = Math.min(LOOK_MOST_MS, FIRST_MS * GROWTH ** this.#looks);
    const wait = Math.max(tried, looked) * (0.75 + Math.random() / 2); // many stations lose one server at once
    this.#timer = setTimeout(() => this.#look(this.#turn), wait);
  }

  /** @param {number} turn */
  async #look(turn) {
    const answers = !document.hidden && (await look());
    if (turn !== this.#turn) return;
    this.#looks += 1;
    if (!answers) return this.#plan();
    this.#tries += 1;
    this.back();
    if (turn === this.#turn) this.#plan();
  }
}
