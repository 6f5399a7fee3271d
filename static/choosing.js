/** Choosing oneself: three big buttons after an unsure photo, or everything there is, in groups. */

import { grouped } from "./catalog.js";
import { button, el } from "./dom.js";
import { t } from "./i18n.js";
import { heading } from "./panels.js";
import { dyed, icon, mark } from "./shapes.js";

/** @typedef {import("./state.js").Category} Category */

/** @param {Partial<Category> & {id: string, name: string}} option @param {(option: any) => void} pick @returns {HTMLElement} name, and the bin it goes to */
function choice(option, pick) {
  const marked = option.bin_shape ? mark(option.bin_shape, "choice-mark") : null;
  const away = option.here === false;
  const side = away ? el("span", { class: "choice-side choice-away" }, t("choose.away")) : el("span", { class: "choice-side" }, t("choose.goes", { bin: option.bin ?? "" }));
  const node = el("button", { type: "button", class: away ? "choice not-here" : "choice", "data-category": option.id, click: () => pick(option) },
    marked,
    el("span", { class: "choice-text" },
      el("span", { class: "choice-name" }, option.name),
      option.bin ? " " : null,
      option.bin ? side : null));
  return away ? node : dyed(node, option.bin_color);
}

/** @param {() => void} more @returns {HTMLElement} none of the three */
const other = (more) => el("button", { type: "button", class: "other", click: more }, icon("grid"), t("choose.more"));

/** @param {string} text @returns {string} */
const plain = (text) => text.normalize("NFC").toLowerCase().replaceAll(/\s+/g, "");

/**
 * @param {Category[]} options
 * @param {(option: Category) => void} pick
 * @param {boolean} search whether there is a field to type in
 * @returns {HTMLElement[]}
 */
export function everything(options, pick, search) {
  const groups = grouped(options).map(({ id, members }) => {
    const buttons = members.map((member) => ({ node: choice(member, pick), text: plain(`${member.name} ${member.bin} ${member.id}`) }));
    const section = el("section", { class: "group", "aria-labelledby": `group-${id}` },
      el("h2", { id: `group-${id}` }, t(`group.${id}`)),
      el("div", { class: "choices" }, ...buttons.map(({ node }) => node)));
    return { section, buttons };
  });
  const sections = groups.map(({ section }) => section);
  if (!search) return sections;
  const found = el("p", { class: "found", role: "status" });
  const input = /** @type {HTMLInputElement} */ (el("input", { type: "search", class: "search", "aria-label": t("choose.search"), placeholder: t("choose.search"), autocomplete: "off", enterkeyhint: "search" }));
  input.addEventListener("input", () => {
    const wanted = plain(input.value);
    let left = 0;
    for (const { section, buttons } of groups) {
      for (const { node, text } of buttons) node.hidden = !text.includes(wanted);
      const shown = buttons.filter(({ node }) => !node.hidden).length;
      section.hidden = !shown;
      left += shown;
    }
    found.textContent = !wanted ? "" : left ? t("choose.found", { n: left }) : t("choose.nothing");
  });
  return [el("div", { class: "finding" }, input, found), ...sections];
}

/**
 * @param {{title: string, text: string, few: {id: string, name: string}[]|null, all: Category[], search: boolean, more: () => void,
 *   pick: (option: {id: string, name: string}) => void, again: () => void, word: string}} choice
 *   `few`: the best three, null when all are to be shown; `again` and its `word`: the way back
 * @returns {HTMLElement[]}
 */
export function choosePanel({ title, text, few, all, search, more, pick, again, word }) {
  const known = (option) => ({ ...all.find(({ id }) => id === option.id), ...option });
  return [
    el("div", { class: few ? "card choose" : "card choose all" },
      heading(title),
      text ? el("p", { class: "lead" }, text) : null,
      ...(few ? [el("div", { class: "choices few" }, ...few.map((option) => choice(known(option), pick)), other(more))] : everything(all, pick, search)),
      el("div", { class: "buttons" }, button("plain", word, again))),
  ];
}
