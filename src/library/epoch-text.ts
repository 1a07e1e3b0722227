/** A seal of an image that a host has accepted. */
export interface SeenSeal {
  readonly epoch: number;
  /** SHA-256 of the file `manifest`, 64 hexadecimal digits. */
  readonly manifest: string;
}

/** An image that another one has taken the place of. */
export interface ReplacedImage {
  /** The id of the other one, 32 hexadecimal digits. */
  readonly replacedBy: string;
}

/** What a host knows of images, by id. */
export type SeenImages = Map<string, SeenSeal | ReplacedImage>;

/**
 * Reads a file of the seals with the highest epochs seen, and of the images that were replaced. An empty file, which a
 * crash may leave, has none.
 * @returns undefined for anything but what {@link textOfEpochs} makes
 */
export function parseEpochs(bytes: Uint8Array): SeenImages | undefined {
  if (bytes.length === 0) return new Map();
  const seen = seenIn(bytes);
  return seen !== undefined && Buffer.from(textOfEpochs(seen)).equals(bytes) ? seen : undefined;
}

export function textOfEpochs(seen: ReadonlyMap<string, SeenSeal | ReplacedImage>): string {
  const sorted = [...seen].sort(([a], [b]) => (a < b ? -1 : 1));
  const images = Object.fromEntries(sorted.map(([id, image]) => [id, membersOf(image)]));
  return `${JSON.stringify({ format: 'ckptfs epochs', version: 1, images }, null, 2)}\n`;
}

function membersOf(image: SeenSeal | ReplacedImage): SeenSeal | ReplacedImage {
  return 'replacedBy' in image ? { replacedBy: image.replacedBy } : { epoch: image.epoch, manifest: image.manifest };
}

function seenIn(bytes: Uint8Array): SeenImages | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  const images = typeof value === 'object' && value !== null && 'images' in value ? value.images : undefined;
  if (typeof images !== 'object' || images === null) return undefined;
  const seen = new Map<string, unknown>(Object.entries(images));
  const isRight = [...seen].every(([id, image]) => isId(id) && (isSeal(image) || isReplaced(image)));
  return isRight ? (seen as SeenImages) : undefined;
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isReplaced(value: unknown): value is ReplacedImage {
  return typeof value === 'object' && value !== null && 'replacedBy' in value && isId(value.replacedBy);
}

function isSeal(value: unknown): value is SeenSeal {
  if (typeof value !== 'object' || value === null || !('epoch' in value && 'manifest' in value)) return false;
  const { epoch, manifest } = value;
  return (
    Number.isSafeInteger(epoch) && Number(epoch) >= 1 && typeof manifest === 'string' && /^[0-9a-f]{64}$/.test(manifest)
  );
}
