/** Drawings: the marks on the bins, ticks, and the face of a reward's character. */

import { svg } from "./dom.js";
import { PICTOGRAMS } from "./pictograms.js";

/** Outlines in a 100 by 100 box. @type {Record<string, string>} */
const OUTLINES = {
  circle: "M50 6a44 44 0 1 1 0 88a44 44 0 1 1 0-88z",
  square: "M10 10h80v80h-80z",
  triangle: "M50 8L95 90H5z",
  diamond: "M50 4L96 50L50 96L4 50z",
  pentagon: "M50 5L96 39L78 93H22L4 39z",
  hexagon: "M27 10h46l23 40l-23 40h-46l-23-40z",
  octagon: "M32 6h36l26 26v36l-26 26h-36l-26-26v-36z",
  star: "M50 4l14 29l32 5l-23 22l5 32l-28-15l-28 15l5-32l-23-22l32-5z",
  cross: "M34 6h32v28h28v32h-28v28h-32v-28h-28v-32h28z",
  drop: "M50 4c8 16 32 34 32 58a32 32 0 0 1-64 0c0-24 24-42 32-58z",
  rounded: "M28 8h44a20 20 0 0 1 20 20v44a20 20 0 0 1-20 20h-44a20 20 0 0 1-20-20v-44a20 20 0 0 1 20-20z",
};

/** @param {unknown} shape @returns {string} an id that can be drawn and named */
export function shapeId(shape) {
  const drawn = typeof shape === "string" && (Object.hasOwn(OUTLINES, shape) || Object.hasOwn(PICTOGRAMS, shape));
  return drawn ? shape : "rounded";
}

/** @param {unknown} color @returns {string|null} it, if it is a plain "#rrggbb" */
export const colorOf = (color) => (typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color) ? color : null);

/** @param {string} color "#rrggbb" @returns {string} what is readable on it */
export function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255).map((x) => x ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.25 ? "#14201a" : "#ffffff";
}

/** @template {HTMLElement} T @param {T} node @param {unknown} color @returns {T} it, with the bin's colour and what is readable on it */
export function dyed(node, color) {
  const plain = colorOf(color);
  if (plain) {
    node.style.setProperty("--bin", plain);
    node.style.setProperty("--on-bin", inkOn(plain));
  }
  return node;
}

/** @param {unknown} shape @param {string} [className] @returns {SVGElement} the shape, or a badge with the picture */
export function mark(shape, className = "mark") {
  const id = shapeId(shape);
  const parts = [svg("path", { d: OUTLINES[id] ?? OUTLINES.rounded })];
  if (PICTOGRAMS[id]) parts.push(svg("path", { class: "picture", d: PICTOGRAMS[id], transform: "translate(15.2 15.2) scale(2.9)" }));
  return svg("svg", { viewBox: "-4 -4 108 108", class: className, "aria-hidden": "true", focusable: "false" }, ...parts);
}

/** @param {string} d @param {string} className @returns {SVGElement} a line drawing in a 24 by 24 box */
function lines(d, className) {
  return svg("svg", { viewBox: "0 0 24 24", class: className, "aria-hidden": "true", focusable: "false" }, svg("path", { d }));
}

export const tick = () => lines("M5 12.5l4.5 4.5L19 7.5", "sign tick");
export const crossed = () => lines("M7 7l10 10M17 7L7 17", "sign crossed");

/** Signs on buttons, as lines in a 24 by 24 box. @type {Record<string, string>} */
const ICONS = {
  camera: "M3 8.5A1.5 1.5 0 0 1 4.5 7h3l1.5-2.5h6L16.5 7h3A1.5 1.5 0 0 1 21 8.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5zM12 16.5a3.7 3.7 0 1 0 0-7.4a3.7 3.7 0 0 0 0 7.4z",
  album: "M4 5h16v14H4zM4 16l4.5-4.5l4 4l2.5-2.5l5 4M15.5 9.2v.1",
  turn: "M4 12a8 8 0 0 1 14-5.3L20 9M20 4v5h-5M20 12a8 8 0 0 1-14 5.3L4 15M4 20v-5h5",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
  grid: "M4 4h6.5v6.5H4zM13.5 4H20v6.5h-6.5zM4 13.5h6.5V20H4zM13.5 13.5H20V20h-6.5z",
  install: "M12 4v10M7.5 10l4.5 4.5l4.5-4.5M4.5 19.5h15",
  back: "M14.5 5l-7 7l7 7",
};

/** @param {string} name @returns {SVGElement} */
export const icon = (name) => lines(ICONS[name], "icon");

const BODIES = ["circle", "drop", "hexagon", "rounded", "octagon"];

/** @param {string} id of the character: the same one always looks the same @returns {SVGElement} */
export function face(id) {
  const sum = [...id].reduce((total, letter) => total + (letter.codePointAt(0) ?? 0), 0);
  const body = svg("path", { class: "body", d: OUTLINES[BODIES[sum % BODIES.length]] });
  const eyes = [37, 63].map((cx) => svg("circle", { class: "eye", cx, cy: 54, r: 5 }));
  const smile = svg("path", { class: "smile", d: "M39 67q11 10 22 0" });
  return svg("svg", { viewBox: "-4 -4 108 108", class: "face", "aria-hidden": "true", focusable: "false" }, body, ...eyes, smile);
}
