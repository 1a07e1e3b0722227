/** Numbers as people read them. */

const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** Writes `512 bytes`, `1.5 GiB`, with at most three significant digits. @param bytes not negative */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  let value = bytes;
  let unit = '';
  for (const next of units) {
    if (Math.round(value) < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Writes `7 s`, `3 min 20 s`, `2 h 5 min`. @param seconds not negative */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Writes `1 file`, `3 files`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const factors: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Parses `67108864`, `64M`, `64MiB`, `1G`; returns undefined for anything else, and from 2^53 on. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,16})([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const factor = factors[unit?.toLowerCase() ?? ''];
  if (digits === undefined || factor === undefined) return undefined;
  const bytes = Number(digits) * factor;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
