import type { Random } from './random.ts';

/** Numbers at which parsers go wrong. */
const edges = [0, 1, 2, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const wideEdges = [...edges.map(BigInt), 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const mutations: readonly Mutation[] = [
  (bytes, random) =>
    inPlace(bytes, 1, random, (at) => bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)),
  (bytes, random) => inPlace(bytes, 1, random, (at) => bytes.writeUInt8(random.below(256), at)),
  (bytes, random) =>
    inPlace(bytes, 1, random, (at) => bytes.writeUInt8((bytes.readUInt8(at) + random.pick([1, 255])) & 255, at)),
  (bytes, random) => inPlace(bytes, 2, random, (at) => bytes.writeUInt16LE(random.pick(edges) & 0xffff, at)),
  (bytes, random) => inPlace(bytes, 4, random, (at) => bytes.writeUInt32LE(random.pick(edges), at)),
  (bytes, random) => inPlace(bytes, 8, random, (at) => bytes.writeBigUInt64LE(random.pick(wideEdges), at)),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => Buffer.concat([bytes, random.bytes(1 + random.below(16))]),
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    const to = random.below(bytes.length + 1);
    bytes.copy(bytes, to, start, end);
    return bytes;
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(4)), bytes.subarray(at)]);
  },
];

function inPlace(bytes: Buffer, width: number, random: Random, change: (at: number) => void): Buffer {
  // Half of the time near the front, where headers and counts stand.
  const reach = random.chance(2) ? Math.min(bytes.length, 128) : bytes.length;
  if (reach >= width) change(random.below(reach - width + 1));
  return bytes;
}

function range(bytes: Buffer, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length + 1);
  return [start, Math.min(bytes.length, start + 1 + random.below(64))];
}

/** A copy of `seed` changed in one to four ways; once in a while bytes that have nothing to do with it. */
export function mutate(seed: Uint8Array, random: Random): Buffer {
  if (random.chance(50)) return random.bytes(random.below(300));
  let bytes: Buffer = Buffer.from(seed);
  for (let left = 1 + random.below(4); left > 0; left--) bytes = Buffer.from(random.pick(mutations)(bytes, random));
  return bytes;
}

/** Changes a few bits or bytes of `seed`, and keeps its length. */
export function mutateInPlace(seed: Uint8Array, random: Random): Buffer {
  const bytes = Buffer.from(seed);
  for (let left = 1 + random.below(3); left > 0; left--) random.pick(mutations.slice(0, 6))(bytes, random);
  return bytes;
}

const strangeValues: readonly unknown[] = [
  null,
  true,
  '',
  'A',
  0,
  -1,
  1.5,
  2 ** 53,
  [],
  {},
  '\u0000',
  '\ud800',
  'A'.repeat(9000),
];

/** A JSON value in which something was replaced, left out, doubled or added. */
export function mutateJson(value: unknown, random: Random): unknown {
  if (random.chance(6)) return random.pick(strangeValues);
  if (typeof value === 'string') return mutateText(value, random);
  if (typeof value === 'number') return random.pick([value + 1, -value, value * 2, value / 2, String(value)]);
  if (Array.isArray(value)) return mutateList(value, random);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, member] as [string, unknown]);
  const changed = mutateList(members, random).map((member) =>
    random.chance(members.length) ? [member[0], mutateJson(member[1], random)] : member,
  );
  return Object.fromEntries(changed as [string, unknown][]);
}

function mutateList<T>(list: readonly T[], random: Random): T[] {
  const copy = [...list];
  const at = random.below(copy.length + 1);
  switch (random.below(6)) {
    case 0:
      copy.splice(at, 1);
      break;
    case 1:
      copy.splice(at, 0, ...copy.slice(at, at + 1));
      break;
    case 2:
      copy.reverse();
      break;
    default:
  }
  return copy;
}

function mutateText(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const insert = random.pick(['', 'A', 'z', '0', '=', '+', '-', ' ', '\n', '\u00e9']);
  return text.slice(0, at) + insert + text.slice(at + random.below(3));
}

/** Alters a text of JSON: its bytes, or its value; now and then nothing. */
export function mutateJsonText(good: Buffer, random: Random): Buffer {
  if (random.chance(2)) return mutate(good, random);
  const value: unknown = JSON.parse(good.toString());
  return Buffer.from(JSON.stringify(random.chance(20) ? value : mutateJson(value, random)) ?? '');
}
