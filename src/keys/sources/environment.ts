import { CkptfsError } from '../../base/errors.ts';
import { environmentValue } from '../../base/linux/environment.ts';
import { wipe } from '../../base/wipe.ts';

/** The variables that hold secrets. A program that a source starts does not get them. */
const secretVariables = new Set<string>();

/** Checks the name of a variable, and notes that it holds a secret. @throws CkptfsError `bad-argument` */
export function noteSecretVariable(name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new CkptfsError('bad-argument', 'env: needs the name of an environment variable');
  secretVariables.add(name);
}

/**
 * Moves the value of a variable into memory, of which more than fits is left out: afterwards neither this process nor
 * /proc/PID/environ has it. The value does not become a JavaScript string.
 * @returns how many bytes there are now
 * @throws CkptfsError `bad-key-file` when there is no such variable
 */
export function takeVariable(name: string, into: Buffer): number {
  const value = environmentValue(name);
  if (value === undefined) {
    throw new CkptfsError('bad-key-file', `env:${name}: there is no such environment variable`, {
      data: { reason: 'absent' },
    });
  }
  const taken = value.subarray(0, into.length);
  into.set(taken);
  wipe(value);
  delete process.env[name];
  return taken.length;
}

/** Returns the environment for a program that a source starts. It has no secret that a source is named for. */
export function environmentWithoutSecrets(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !secretVariables.has(name));
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}
