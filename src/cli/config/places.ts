import { existsSync, lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { systemErrorName } from '../../base/errors.ts';

/** Names a source of a key, like `--key`, where the command line names no key. */
export const KEY_VARIABLE = 'CKPTFS_KEY';

export const POLICY_DIRECTORY = '/etc/ckptfs';
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

/** Returns whether this host may have a policy: a file that cannot be looked at counts. */
export function mayHavePolicy(directory: string = POLICY_DIRECTORY): boolean {
  try {
    lstatSync(directory);
    return true;
  } catch (error) {
    return systemErrorName(error) !== 'ENOENT';
  }
}
