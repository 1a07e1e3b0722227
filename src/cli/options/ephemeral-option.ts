import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';

/** Adds the option of a mount that is gone at its end. */
export function withEphemeralOption<T>(yargs: Argv<T>) {
  return yargs.option('ephemeral', {
    type: 'boolean',
    default: false,
    describe: 'With --write: a new image whose key is in memory alone; it is removed at the end',
  });
}

/** Options that say how an image is opened, or for whom it is made, in the order in which they are looked at. */
const FOR_KEYS = [
  'keyFile',
  'key',
  'passphraseFile',
  'privateKey',
  'keyDir',
  'allowKeyUrl',
  'keySlot',
  'keyTimeout',
  'keyHeader',
  'keyCaFile',
  'keyCert',
  'keyCertKey',
  'recipient',
  'label',
  'caFile',
  'crlFile',
  'ocsp',
  'force',
  'imageId',
  'keyTtl',
  'keyLease',
  'requireSignature',
  'trusted',
  'minEpoch',
  'epochFile',
  'auditLog',
] as const;

/** Refuses what an ephemeral mount has no use for. @throws CkptfsError `bad-argument` */
export function checkEphemeral(args: Readonly<Record<string, unknown>>, write: boolean | undefined): void {
  if (write !== true) throw new CkptfsError('bad-argument', '--ephemeral is for a mount that is written, by --write');
  const given = FOR_KEYS.find((name) => isGiven(args[name]));
  if (given === undefined) return;
  const option = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CkptfsError(
    'bad-argument',
    `--${option}: an ephemeral mount has a key in memory alone, and takes no other`,
  );
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}
