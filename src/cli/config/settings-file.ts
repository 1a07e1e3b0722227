import { MalformedError } from '../../base/bytes.ts';
import { type FileDemands, readOwnedFile } from '../../base/owned-file.ts';
import { membersOf } from '../../format/members.ts';

const MAX_SIZE = 64 << 10;

/**
 * Reads a small file with a JSON object that only its owner can change. Returns undefined where there is none.
 * @throws MalformedError for any other file, or one that cannot be read
 */
export function readSettingsFile(path: string, demands: FileDemands): ReadonlyMap<string, unknown> | undefined {
  const text = readOwnedFile(path, MAX_SIZE, demands);
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
