import { printable } from '../../base/printable.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { isAgeRecipient, readAgeRecipient } from '../age/recipient.ts';
import { isSshKeyLine, readSshKeyLine } from '../ssh/public-key-line.ts';
import { startsWith, type TextLine, textLines } from '../text-lines.ts';

/** A public key on a line. */
export interface ListedKey {
  /** From 1. */
  readonly line: number;
  /** `SSH key`, `age key` */
  readonly what: string;
  readonly jwk: PublicJwk;
  readonly description: SlotDescription;
}

/** A line that is no key that can be used. */
export interface SkippedLine {
  readonly line: number;
  readonly problem: KeyProblem;
}

/** Public keys as text, one a line. */
export interface KeyList {
  readonly keys: readonly ListedKey[];
  readonly skipped: readonly SkippedLine[];
}

const MAX_SUBJECT = 512;

/** Tells whether contents are a list of public keys of SSH and age, ones that are used or not. */
export function isKeyList(contents: Buffer): boolean {
  return [...textLines(contents)].some((line) => publicText(line) !== undefined);
}

/**
 * Reads public keys of SSH and age, one a line: a `.pub` file, an authorized_keys file, a file of recipients of age, or
 * what a server shows of its users. Empty lines and comments are passed over.
 */
export function readKeyList(contents: Buffer): KeyList {
  const keys: ListedKey[] = [];
  const skipped: SkippedLine[] = [];
  for (const line of textLines(contents)) {
    try {
      keys.push({ line: line.number, ...readLine(publicText(line)) });
    } catch (error) {
      if (!(error instanceof KeyProblem)) throw error;
      skipped.push({ line: line.number, problem: error });
    }
  }
  return { keys, skipped };
}

function readLine(text: string | undefined): Omit<ListedKey, 'line'> {
  if (text === undefined) throw new KeyProblem('not-a-key', 'is no public key');
  if (isAgeRecipient(text)) return { what: 'age key', jwk: readAgeRecipient(text), description: { kind: 'age' } };
  const { jwk, comment } = readSshKeyLine(text);
  const subject = printable(comment, MAX_SUBJECT);
  return { what: 'SSH key', jwk, description: { kind: 'ssh', ...(subject === '' ? {} : { subject }) } };
}

/** Returns a line as text if it is a public key. Others may be secrets, which must not become a JavaScript string. */
function publicText({ bytes }: TextLine): string | undefined {
  const mayBePublic =
    startsWith(bytes, 'age1') || (bytes.includes(' AAAA') && (bytes.includes('ssh-') || bytes.includes('ecdsa-')));
  if (!mayBePublic) return undefined;
  const text = bytes.toString();
  return isAgeRecipient(text) || isSshKeyLine(text) ? text : undefined;
}
