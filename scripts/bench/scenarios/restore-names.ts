import { names } from '../peers/names.ts';

/** The tools that decrypt before a restore. */
export const restoreTools = [names.age, names.openssl, names.gpg];

/** Names, for tables, decrypting with a tool and restoring afterwards. */
export function decryptThenRestore(tool: string): string {
  return `${tool}, decrypted first`;
}

/** The name, in tables, of a restore whose mount counts. */
export const mountIncluded = `${names.ours}, mount included`;
