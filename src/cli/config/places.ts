import { existsSync, lstatSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { WRITABLE_BY_OTHERS } from '../../base/owned-file.ts';

/** Names a source of a key, like `--key`, where the command line names no key. */
export const KEY_VARIABLE = 'CKPTFS_KEY';

export const POLICY_FILE = '/etc/ckptfs/policy.json';

/** Returns the paths of configurations, of which the first that is there holds. */
export function configurationPaths(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const configured = environment['XDG_CONFIG_HOME'];
  const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.config');
  return [join(base, 'ckptfs', 'config.json'), '/etc/ckptfs/config.json'];
}

/** Returns whether something may name keys where the command line does not. */
export function mayBeConfigured(): boolean {
  return process.env[KEY_VARIABLE] !== undefined || configurationPaths().some((path) => existsSync(path));
}

/**
 * Returns whether this host may have a policy. A file that cannot be looked at counts, and so does a directory in which
 * a user may have removed it.
 */
export function mayHavePolicy(path: string = POLICY_FILE): boolean {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return true;
    const directory = statSync(dirname(path), { throwIfNoEntry: false });
    return directory !== undefined && (directory.mode & WRITABLE_BY_OTHERS) !== 0;
  } catch {
    return true;
  }
}
