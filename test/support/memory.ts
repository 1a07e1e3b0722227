import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Bytes to look for, by a name for messages. None is of zeros. */
export type Needles = Readonly<Record<string, Buffer>>;

interface Hit {
  readonly name: string;
  readonly mapping: string;
  readonly near: bigint;
}

const windowSize = 1 << 16;
const zeros = Buffer.alloc(windowSize);

/**
 * Which of the needles stand anywhere in the memory of a process, and where. Needs root.
 * @throws Error where hardly anything could be read, so that "found nothing" always means "looked everywhere"
 */
export function foundInMemory(pid: number, needles: Needles): string[] {
  const places = search(pid, needles).map(
    ({ name, mapping, near }) => `${name} in ${mapping || 'anonymous memory'} near ${near.toString(16)}`,
  );
  return [...new Set(places)];
}

/** Names of the needles that stand anywhere in the memory of a process, sorted. @throws as {@link foundInMemory} */
export function namesInMemory(pid: number, needles: ReadonlyMap<string, Buffer>): string[] {
  return [...new Set(search(pid, Object.fromEntries(needles)).map(({ name }) => name))].sort();
}

function search(pid: number, needles: Needles): Hit[] {
  const hits: Hit[] = [];
  let scanned = 0;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to, mode = '', name = ''] = /^([0-9a-f]+)-([0-9a-f]+) (r\S+) \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
      if (from === undefined || to === undefined || name === '[vvar]' || name === '[vsyscall]') continue;
      // What was mapped from a file and cannot be written is as the file is: most of it the program.
      if (mode[1] !== 'w' && name.startsWith('/')) continue;
      scanned += scan(memory, BigInt(`0x${from}`), BigInt(`0x${to}`), needles, (needle, near) =>
        hits.push({ name: needle, mapping: name, near }),
      );
    }
  } finally {
    closeSync(memory);
  }
  if (scanned < 32 << 20) throw new Error(`only ${scanned} bytes of process ${pid} could be read`);
  return hits;
}

/** Windows overlap by the longest needle, so that none hides on a border. Returns the bytes read. */
function scan(
  memory: number,
  from: bigint,
  to: bigint,
  needles: Needles,
  onHit: (name: string, near: bigint) => void,
): number {
  const overlap = Math.max(...Object.values(needles).map(({ length }) => length)) - 1;
  const window = Buffer.alloc(windowSize + overlap);
  let scanned = 0;
  let kept = 0;
  for (let at = from; at < to; ) {
    const wanted = Number(to - at < BigInt(windowSize) ? to - at : BigInt(windowSize));
    let count = 0;
    try {
      count = readSync(memory, window, kept, wanted, at);
    } catch {
      // Guard pages and device memory cannot be read; what follows them can.
    }
    if (count === 0) {
      kept = 0;
      at += 4096n;
      continue;
    }
    const data = window.subarray(0, kept + count);
    // Most of what a process has mapped was never touched.
    if (!isZero(data)) {
      for (const [name, needle] of Object.entries(needles)) if (data.includes(needle)) onHit(name, at);
    }
    scanned += count;
    at += BigInt(count);
    kept = Math.min(overlap, data.length);
    window.copyWithin(0, data.length - kept, data.length);
  }
  return scanned;
}

function isZero(data: Buffer): boolean {
  for (let at = 0; at < data.length; at += windowSize) {
    const part = data.subarray(at, at + windowSize);
    if (!part.equals(zeros.subarray(0, part.length))) return false;
  }
  return true;
}
