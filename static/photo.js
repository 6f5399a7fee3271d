/** Turns a chosen file or the camera's picture into what is sent: a small JPEG without EXIF. */

const LONGEST = 1024;
const THUMB = 96;
const QUALITY = 0.85;
const SPREAD = 4; // of 255: a picture whose brightness varies less shows nothing
const LOOKED_AT = 64; // pixels: a small picture has no noise
const SENDABLE = new Set(["image/jpeg", "image/png", "image/webp"]);

/** @typedef {"dark"|"bright"|"plain"|null} Flat why nothing can be seen; null: something can */

/**
 * @typedef {{blob: Blob|null, type: string, url: string, flat?: Flat, data?: Promise<string|null>, thumb?: Promise<string|null>}} Photo
 *   `blob`: null when only a small picture was kept; `url` shows the picture, free it with `release`; `data`, `thumb`: as data URLs, once asked for
 */

/** A file that cannot be sent; `reason` is a key of the page's texts. */
export class Unusable extends Error {
  /** @param {"photo.not_image"|"photo.unreadable"} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * @param {string} url
 * @returns {Promise<HTMLImageElement|null>} null when the browser cannot decode it
 */
async function decoded(url) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return image.naturalWidth > 0 ? image : null;
}

/**
 * Draw a part of a picture, at most so many pixels on its longer side. A photo is turned upright by its EXIF on the way.
 * @param {CanvasImageSource} source
 * @param {{x: number, y: number, width: number, height: number}} part in the source's pixels
 * @param {number} longest
 * @returns {HTMLCanvasElement|null}
 */
function drawn(source, part, longest) {
  const scale = Math.min(1, longest / Math.max(part.width, part.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(part.width * scale));
  canvas.height = Math.max(1, Math.round(part.height * scale));
  const pen = canvas.getContext("2d");
  if (!pen) return null;
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff"; // JPEG has no transparency
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(source, part.x, part.y, part.width, part.height, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob|null>} */
const jpegOf = (canvas) => new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));

/** @param {HTMLImageElement} image */
const whole = (image) => ({ x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight });

/** @param {HTMLCanvasElement} canvas @returns {Flat} */
function flatness(canvas) {
  const small = drawn(canvas, { x: 0, y: 0, width: canvas.width, height: canvas.height }, LOOKED_AT);
  const pixels = small?.getContext("2d")?.getImageData(0, 0, small.width, small.height).data;
  if (!pixels) return null;
  let [sum, squares] = [0, 0];
  for (let at = 0; at < pixels.length; at += 4) {
    const light = 0.2126 * pixels[at] + 0.7152 * pixels[at + 1] + 0.0722 * pixels[at + 2];
    sum += light;
    squares += light * light;
  }
  const mean = sum / (pixels.length / 4);
  if (squares / (pixels.length / 4) - mean * mean > SPREAD * SPREAD) return null;
  return mean < 80 ? "dark" : mean > 200 ? "bright" : "plain";
}

/** @param {Blob} blob @param {string} type @param {Flat} [flat] @returns {Photo} */
const photoOf = (blob, type, flat = null) => ({ blob, type, flat, url: URL.createObjectURL(blob) });

/**
 * @param {File} file
 * @returns {Promise<Photo>}
 * @throws {Unusable}
 */
export async function prepare(file) {
  if (file.type && !file.type.startsWith("image/")) throw new Unusable("photo.not_image");
  const original = URL.createObjectURL(file);
  try {
    const image = await decoded(original);
    const canvas = image && drawn(image, whole(image), LONGEST);
    const small = canvas && (await jpegOf(canvas));
    if (small) return photoOf(small, "image/jpeg", flatness(canvas));
  } finally {
    URL.revokeObjectURL(original);
  }
  // The server may read what this browser cannot, as long as it is of a kind it takes.
  if (SENDABLE.has(file.type)) return photoOf(file, file.type);
  throw new Unusable(file.type ? "photo.unreadable" : "photo.not_image");
}

/**
 * What the camera shows now, cut as the screen shows it.
 * @param {HTMLVideoElement} video
 * @returns {Promise<Photo|null>} null while there is no picture
 */
export async function shot(video) {
  const { videoWidth: width, videoHeight: height, clientWidth, clientHeight } = video;
  if (!width || !height || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
  const scale = Math.max(clientWidth / width, clientHeight / height) || 1;
  const part = { width: Math.min(width, clientWidth / scale || width), height: Math.min(height, clientHeight / scale || height), x: 0, y: 0 };
  part.x = (width - part.width) / 2;
  part.y = (height - part.height) / 2;
  const canvas = drawn(video, part, LONGEST);
  const blob = canvas && (await jpegOf(canvas));
  return blob && photoOf(blob, "image/jpeg", flatness(canvas));
}

/** @param {string} url @returns {Promise<string|null>} a small square of it as data URL */
export async function thumbnail(url) {
  const image = await decoded(url);
  if (!image) return null;
  const { naturalWidth: width, naturalHeight: height } = image;
  const side = Math.min(width, height);
  return drawn(image, { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side }, THUMB)?.toDataURL("image/jpeg", 0.7) ?? null;
}

/** @param {Blob} blob @returns {Promise<string|null>} */
export function dataUrl(blob) {
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(typeof reader.result === "string" ? reader.result : null);
    reader.onerror = () => done(null);
    reader.readAsDataURL(blob);
  });
}

/** @param {string|null} url a data URL @returns {Photo|null} */
export function revived(url) {
  const [, type, text] = /^data:(image\/[a-z]+);base64,(.+)$/.exec(url ?? "") ?? [];
  if (!text) return null;
  return photoOf(new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type }), type);
}

/** @param {Photo|null} photo */
export function release(photo) {
  if (photo) URL.revokeObjectURL(photo.url);
}
