/** The ways a photo comes in: both file buttons, drag and drop, paste. */

import { byId } from "./dom.js";

/** @typedef {(file: File|null) => void} Take */

/**
 * @param {DataTransfer|null} data of a drop or a paste
 * @returns {File|null} its picture, else its first file
 */
function fileOf(data) {
  const files = [...(data?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}

/** @param {Take} take */
function listenToButtons(take) {
  const picker = byId("file");
  for (const input of [picker, byId("camera")]) {
    input.addEventListener("change", () => {
      const field = /** @type {HTMLInputElement} */ (input);
      take(field.files?.[0] ?? null);
      field.value = ""; // so that choosing the same photo again is a change
    });
  }
  byId("drop").addEventListener("click", (event) => {
    const asked = /** @type {Element} */ (event.target).closest("label, button, video");
    if (!asked && byId("drop").dataset.camera === "absent") picker.click();
  });
}

/** @param {Take} take */
function listenToDrops(take) {
  const veil = byId("veil");
  /** @param {DragEvent} event */
  const carries = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!carries(event)) return;
    event.preventDefault();
    take(fileOf(event.dataTransfer));
  });
}

/** @param {Take} take gets every photo that comes in, whichever way */
export function listenForPhotos(take) {
  listenToButtons(take);
  listenToDrops(take);
  document.addEventListener("paste", (event) => {
    const file = fileOf(event.clipboardData);
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}
