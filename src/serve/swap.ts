import fs from 'node:fs';
import { basename } from 'node:path';

/**
 * Swap in use that would put what is in memory on a disk unencrypted: neither on zram, which is memory, nor on a device of dm-crypt.
 * Best effort: a swap file on an encrypted disk counts as unencrypted.
 * @returns paths
 */
export function unencryptedSwap(): string[] {
  const lines = read('/proc/swaps').split('\n').slice(1);
  const paths = lines.flatMap((line) => /^(\/\S+)/.exec(line)?.[1] ?? []);
  return paths.filter((path) => !isSafe(path));
}

function isSafe(path: string): boolean {
  let device: string;
  try {
    device = basename(fs.realpathSync(path));
  } catch {
    return false;
  }
  return device.startsWith('zram') || read(`/sys/class/block/${device}/dm/uuid`).startsWith('CRYPT-');
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
