import { CkptfsError } from '../../base/errors.ts';
import { environmentValue } from '../../base/linux/environment.ts';
import { wipe } from '../../base/wipe.ts';
import { Secret } from '../../crypto/secret.ts';
import { MAX_TEXT_SIZE } from './source.ts';

/** The variables that hold secrets. A program that a source starts does not get them. */
const secretVariables = new Set<string>();
/** The values of those that were not read yet, but for empty ones. */
const values = new Map<string, Secret | undefined>();

/**
 * Moves the value of a variable that holds a secret into locked memory, until it is read: from then on no child, and
 * nothing in /proc/PID/environ, has it, whether it is needed or not. It does not become a JavaScript string.
 * @throws CkptfsError `bad-argument` for what is no name of a variable
 */
export function claimVariable(name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new CkptfsError('bad-argument', 'env: needs the name of an environment variable');
  secretVariables.add(name);
  const value = environmentValue(name);
  if (value === undefined) return;
  values.get(name)?.wipe();
  values.set(name, value.length === 0 ? undefined : Secret.copy(value.subarray(0, MAX_TEXT_SIZE + 1)));
  wipe(value);
  delete process.env[name];
}

/**
 * Moves the value of a claimed variable into memory that is larger than {@link MAX_TEXT_SIZE}.
 * @returns how many bytes there are now
 * @throws CkptfsError `bad-key-file` when there was no such variable, or it was read before
 */
export function takeVariable(name: string, into: Buffer): number {
  if (!values.has(name)) {
    throw new CkptfsError('bad-key-file', `env:${name}: there is no such environment variable`, {
      data: { reason: 'absent' },
    });
  }
  const value = values.get(name);
  values.delete(name);
  if (value === undefined) return 0;
  into.set(value.bytes);
  value.wipe();
  return value.length;
}

/**
 * Returns the environment for a program that a source starts. It has no secret that a source is named for, and not the
 * socket of a service manager: programs of systemd that fail would tell it so, as if they were the service.
 */
export function environmentForPrograms(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !secretVariables.has(name) && name !== 'NOTIFY_SOCKET');
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}
