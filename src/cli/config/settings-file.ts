import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { MalformedError } from '../../base/bytes.ts';
import { ioError, systemErrorName } from '../../base/errors.ts';
import { membersOf } from '../../format/members.ts';
import { WRITABLE_BY_OTHERS } from './places.ts';

const MAX_SIZE = 64 << 10;

/** Which file of settings is accepted. */
interface FileDemands {
  /** The users it may belong to. */
  readonly owners: readonly number[];
  readonly followLinks: boolean;
}

/**
 * Reads a small file with a JSON object that only its owner can change. Returns undefined where there is none.
 * @throws MalformedError for any other file, or one that cannot be read
 */
export function readSettingsFile(path: string, demands: FileDemands): ReadonlyMap<string, unknown> | undefined {
  const text = readSmallFile(path, demands);
  return text === undefined ? undefined : parseSettings(text);
}

/** Parses a JSON object in UTF-8. @throws MalformedError, which does not repeat the text: it may be a key */
export function parseSettings(text: Uint8Array): ReadonlyMap<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  return membersOf(value, 'it');
}

function readSmallFile(path: string, { owners, followLinks }: FileDemands): Uint8Array | undefined {
  let descriptor: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    descriptor = openSync(path, followLinks ? flags : flags | constants.O_NOFOLLOW);
  } catch (cause) {
    if (systemErrorName(cause) === 'ENOENT') return undefined;
    throw new MalformedError(ioError('read', path, cause).message);
  }
  try {
    const { mode, uid, ...status } = fstatSync(descriptor);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new MalformedError('it is not a regular file');
    if (!owners.includes(uid)) throw new MalformedError(`it belongs to another user (${uid}), who can change it`);
    if ((mode & WRITABLE_BY_OTHERS) !== 0) throw new MalformedError('other users can change it');
    if (status.size > MAX_SIZE) throw new MalformedError(`it is larger than ${MAX_SIZE} bytes`);
    return readUpTo(descriptor, MAX_SIZE);
  } catch (cause) {
    throw cause instanceof MalformedError ? cause : new MalformedError(ioError('read', path, cause).message);
  } finally {
    closeSync(descriptor);
  }
}

function readUpTo(descriptor: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const read = readSync(descriptor, bytes, length, size - length, null);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}
