import { names } from '../peers/names.ts';

/** The tools that decrypt before a restore. */
export const restoreTools = [names.age, names.openssl, names.gpg];

/** Names, for tables, decrypting with a tool and restoring afterwards. */
export function decryptThenRestore(tool: string): string {
  return `${tool}, decrypted first`;
}

/** Names, for tables, a restore whose memory `criu lazy-pages` brings in after the process runs. */
export function lazily(peer: string): string {
  return `${peer}, lazy-pages`;
}

/** Names the scenario that reports when all memory was read, for one that reports when the processes run. */
export function allRead(id: string): string {
  return `${id}-all`;
}

/** Names, for tables, a restore by ckptfs whose mount counts. */
export function mountIncluded(lazy: boolean): string {
  return `${lazy ? lazily(names.ours) : names.ours}, mount included`;
}
