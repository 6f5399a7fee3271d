/** Turns the file somebody chose into what is sent: a small JPEG without EXIF. */

const LONGEST = 1024;
const QUALITY = 0.85;
const SENDABLE = new Set(["image/jpeg", "image/png", "image/webp"]);

/** @typedef {{blob: Blob, type: string, url: string}} Photo `url` shows the picture; free it with `release` */

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
 * Draw at most 1024 px on the longer side. The browser turns the picture upright by its EXIF.
 * @param {HTMLImageElement} image
 * @returns {Promise<Blob|null>}
 */
function shrunk(image) {
  const scale = Math.min(1, LONGEST / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const pen = canvas.getContext("2d");
  if (!pen) return Promise.resolve(null);
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff"; // JPEG has no transparency
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}

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
    const small = image && (await shrunk(image));
    if (small) return { blob: small, type: "image/jpeg", url: URL.createObjectURL(small) };
  } finally {
    URL.revokeObjectURL(original);
  }
  // The server may read what this browser cannot, as long as it is of a kind it takes.
  if (SENDABLE.has(file.type)) return { blob: file, type: file.type, url: URL.createObjectURL(file) };
  throw new Unusable(file.type ? "photo.unreadable" : "photo.not_image");
}

/** @param {Photo|null} photo */
export function release(photo) {
  if (photo) URL.revokeObjectURL(photo.url);
}
