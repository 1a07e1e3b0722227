/** A seal of an image that a host has accepted. */
export interface SeenSeal {
  readonly epoch: number;
  /** SHA-256 of the file `manifest`, 64 hexadecimal digits. */
  readonly manifest: string;
}

/**
 * Reads a file of the seals with the highest epochs seen, by image id. An empty file, which a crash may leave, has
 * none.
 * @returns undefined for anything but what {@link textOfEpochs} makes
 */
export function parseEpochs(bytes: Uint8Array): Map<string, SeenSeal> | undefined {
  if (bytes.length === 0) return new Map();
  const epochs = epochsIn(bytes);
  return epochs !== undefined && Buffer.from(textOfEpochs(epochs)).equals(bytes) ? epochs : undefined;
}

export function textOfEpochs(epochs: ReadonlyMap<string, SeenSeal>): string {
  const sorted = [...epochs].sort(([a], [b]) => (a < b ? -1 : 1));
  const images = Object.fromEntries(sorted.map(([id, { epoch, manifest }]) => [id, { epoch, manifest }]));
  return `${JSON.stringify({ format: 'ckptfs epochs', version: 1, images }, null, 2)}\n`;
}

function epochsIn(bytes: Uint8Array): Map<string, SeenSeal> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  const images = typeof value === 'object' && value !== null && 'images' in value ? value.images : undefined;
  if (typeof images !== 'object' || images === null) return undefined;
  const seals = new Map<string, unknown>(Object.entries(images));
  const isRight = [...seals].every(([id, seal]) => /^[0-9a-f]{32}$/.test(id) && isSeal(seal));
  return isRight ? (seals as Map<string, SeenSeal>) : undefined;
}

function isSeal(value: unknown): value is SeenSeal {
  if (typeof value !== 'object' || value === null || !('epoch' in value && 'manifest' in value)) return false;
  const { epoch, manifest } = value;
  return (
    Number.isSafeInteger(epoch) && Number(epoch) >= 1 && typeof manifest === 'string' && /^[0-9a-f]{64}$/.test(manifest)
  );
}
