import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { MAX_KEY_MATERIAL_SIZE, readKeyMaterial } from '../key-material.ts';
import { readPublicKey } from '../recipients/read-recipients.ts';
import { keyIdOf } from './private-key-file.ts';
import { readPrivateKeys, shownPublicKey } from './private-keys.ts';

/** Files in a directory of keys. */
const MAX_FILES = 4096;

/** What a file in the directory has. Thumbprints are of keys as slots name them. */
interface Found {
  /** The thumbprints of its private keys, when nothing protects them. */
  readonly own?: readonly string[];
  /** The thumbprint of its public key or first certificate. */
  readonly shown?: string;
  /** Whether it has a private key that a passphrase protects. */
  readonly isProtected: boolean;
}

/**
 * Finds the files of a directory whose private key has one of the thumbprints, in the order of their names. A private
 * key that a passphrase protects does not say which it is. It fits by the first of these that is there:
 * 1. the name of the file, which is the thumbprint with any extension;
 * 2. a public key or certificate in the same file, which every private key in the format of OpenSSH has;
 * 3. one in a neighbour, a file of the same name with another extension (`host.key` and `host.crt`) or with one more
 *    (`host.key.pub`).
 * One that nothing tells of is not tried. Files that cannot be read, or are something else, are passed over, and so are
 * directories in it.
 * @throws CkptfsError `bad-key-file` when the directory cannot be read, or has more than 4096 files
 */
export function* findKeyFiles(directory: string, wanted: ReadonlySet<string>): Generator<string> {
  const names = fileNames(directory);
  for (const name of names.filter((each) => wanted.has(stem(each)))) {
    const { own, isProtected } = lookAt(join(directory, name));
    if (isProtected || own?.some((keyId) => wanted.has(keyId))) yield join(directory, name);
  }
  const shownBy = new Map<string, string[]>();
  const protectedNames: string[] = [];
  for (const name of names) {
    const { own, shown, isProtected } = lookAt(join(directory, name));
    const known = own ?? (isProtected && shown !== undefined ? [shown] : []);
    if (known.some((keyId) => wanted.has(keyId))) yield join(directory, name);
    if (isProtected && shown === undefined) protectedNames.push(name);
    else if (shown !== undefined) shownBy.set(stem(name), [...(shownBy.get(stem(name)) ?? []), shown]);
  }
  for (const name of protectedNames) {
    const shown = [stem(name), name].flatMap((each) => shownBy.get(each) ?? []);
    if (shown.some((keyId) => wanted.has(keyId))) yield join(directory, name);
  }
}

/**
 * Returns the files of a directory that have a private key, in the order of their names, for what does not say which
 * key opens it.
 * @param all whether those that a passphrase protects are among them
 * @throws CkptfsError `bad-key-file` as {@link findKeyFiles}
 */
export function privateKeyFiles(directory: string, all: boolean): string[] {
  return fileNames(directory)
    .map((name) => join(directory, name))
    .filter((path) => {
      const { own, isProtected } = lookAt(path);
      return own !== undefined || (all && isProtected);
    });
}

function stem(name: string): string {
  return parse(name).name;
}

function fileNames(directory: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    const { message } = ioError('read key directory', directory, error);
    const reason = systemErrorName(error) === 'ENOENT' ? 'missing' : 'unreadable';
    throw new CkptfsError('bad-key-file', message, { path: directory, data: { reason }, cause: error });
  }
  const names = entries.filter((entry) => isSmallFile(entry, directory)).map(({ name }) => name);
  if (names.length > MAX_FILES) {
    throw new CkptfsError('bad-key-file', `key directory ${directory} has more than ${MAX_FILES} files`, {
      path: directory,
      data: { reason: 'too-large' },
    });
  }
  return names.sort();
}

/** Returns whether an entry is, or leads to, a regular file. A pipe or a device could wait for ever. */
function isSmallFile(entry: Dirent, directory: string): boolean {
  if (!entry.isFile() && !entry.isSymbolicLink()) return false;
  try {
    const status = statSync(join(directory, entry.name));
    return status.isFile() && status.size <= MAX_KEY_MATERIAL_SIZE;
  } catch {
    // It is gone, or a link that leads to nothing, in a circle, or where this user may not look.
    return false;
  }
}

function lookAt(path: string): Found {
  try {
    return readKeyMaterial('private key', path, (contents) => {
      const { keyIds, isProtected } = privateKeysIn(contents);
      if (keyIds !== undefined) return { own: keyIds, isProtected };
      const shown = publicKeyIn(contents);
      return { ...(shown === undefined ? {} : { shown }), isProtected };
    }).value;
  } catch (error) {
    if (error instanceof CkptfsError) return { isProtected: false };
    throw error;
  }
}

function privateKeysIn(contents: Buffer): { keyIds?: readonly string[]; isProtected: boolean } {
  try {
    const keys = readPrivateKeys(contents);
    for (const key of keys) key.dispose();
    return { keyIds: keys.map(({ publicJwk }) => keyIdOf(publicJwk)), isProtected: false };
  } catch (error) {
    if (error instanceof KeyProblem) return { isProtected: error.reason === 'passphrase-needed' };
    throw error;
  }
}

function publicKeyIn(contents: Buffer): string | undefined {
  try {
    return keyIdOf(shownPublicKey(contents) ?? readPublicKey(contents));
  } catch (error) {
    if (error instanceof KeyProblem) return undefined;
    throw error;
  }
}
