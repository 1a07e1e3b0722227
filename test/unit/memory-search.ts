import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Names of the needles found in the readable memory of a process. */
export function found(pid: number, needles: ReadonlyMap<string, Buffer>): string[] {
  const hits = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    const [start, end] = [parseInt(range?.[1] ?? '0', 16), parseInt(range?.[2] ?? '0', 16)];
    const bytes = Buffer.alloc(Math.min(end - start, 2 ** 28));
    try {
      readSync(memory, bytes, 0, bytes.length, start);
    } catch {
      continue; // A mapping of the kernel's own.
    }
    for (const [name, needle] of needles) if (bytes.includes(needle)) hits.add(name);
  }
  closeSync(memory);
  return [...hits].sort();
}
