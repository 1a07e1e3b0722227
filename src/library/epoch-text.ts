/**
 * Reads a file of the highest epochs seen, by image id. An empty file, which a crash may leave, has none.
 * @returns undefined for anything but what {@link textOfEpochs} makes
 */
export function parseEpochs(bytes: Uint8Array): Map<string, number> | undefined {
  if (bytes.length === 0) return new Map();
  const epochs = epochsIn(bytes);
  return epochs !== undefined && Buffer.from(textOfEpochs(epochs)).equals(bytes) ? epochs : undefined;
}

export function textOfEpochs(epochs: ReadonlyMap<string, number>): string {
  const images = Object.fromEntries([...epochs].sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ format: 'ckptfs epochs', version: 1, images }, null, 2)}\n`;
}

function epochsIn(bytes: Uint8Array): Map<string, number> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  const images = typeof value === 'object' && value !== null && 'images' in value ? value.images : undefined;
  if (typeof images !== 'object' || images === null) return undefined;
  const epochs = new Map<string, number>(Object.entries(images));
  const isRight = [...epochs].every(
    ([id, epoch]) => /^[0-9a-f]{32}$/.test(id) && Number.isSafeInteger(epoch) && epoch >= 1,
  );
  return isRight ? epochs : undefined;
}
