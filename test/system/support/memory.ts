import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Bytes to look for, by a name for messages. */
export type Needles = Readonly<Record<string, Buffer>>;

const windowSize = 1 << 20;

/**
 * Which of the needles stand anywhere in the memory of a process, in any mapping that can be read. Needs root.
 *
 * @throws Error where hardly anything could be read, so that "found nothing" always means "looked everywhere"
 */
export function foundInMemory(pid: number, needles: Needles): string[] {
  const found = new Set<string>();
  let scanned = 0;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to, name] = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
      if (from === undefined || to === undefined || name === '[vvar]' || name === '[vsyscall]') continue;
      const size = scan(memory, BigInt(`0x${from}`), BigInt(`0x${to}`), needles, found, name ?? '');
      scanned += size;
    }
  } finally {
    closeSync(memory);
  }
  if (scanned < 32 << 20) throw new Error(`only ${scanned} bytes of process ${pid} could be read`);
  return [...found];
}

/** Windows overlap by the longest needle, so that none hides on a border. Returns the bytes read. */
function scan(memory: number, from: bigint, to: bigint, needles: Needles, found: Set<string>, mapping: string): number {
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
    for (const [name, needle] of Object.entries(needles)) {
      if (data.includes(needle)) found.add(`${name} in ${mapping || 'anonymous memory'} near ${at.toString(16)}`);
    }
    scanned += count;
    at += BigInt(count);
    kept = Math.min(overlap, data.length);
    window.copyWithin(0, data.length - kept, data.length);
  }
  return scanned;
}
