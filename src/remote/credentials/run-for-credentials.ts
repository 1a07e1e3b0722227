import { CkptfsError } from '../../base/errors.ts';
import { type Command, type CommandOptions, runForSecret } from '../../keys/sources/command.ts';
import { unavailable } from '../shared/faults.ts';

/**
 * Runs a program that gives credentials, like a command that gives a key. Nothing that it writes gets into a message.
 * @returns how many bytes it wrote, at most as many as fit
 * @throws CkptfsError `store-unavailable` when it fails, `interrupted`
 */
export async function runForCredentials(
  source: string,
  command: Command,
  into: Buffer,
  options: Omit<CommandOptions, 'hidesErrors'>,
): Promise<number> {
  try {
    return await runForSecret(source, command, into, { ...options, hidesErrors: true });
  } catch (error) {
    if (!(error instanceof CkptfsError) || error.code !== 'key-unavailable') throw error;
    throw unavailable(source, 'denied', error.message.slice(`${source}: `.length), error);
  }
}
