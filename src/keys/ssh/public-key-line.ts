import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import { isSshKeyType, publicKeyOfBlob } from './public-key-blob.ts';

/** A line of a `.pub` or authorized_keys file. */
export interface SshKeyLine {
  readonly jwk: PublicJwk;
  /** `ssh-ed25519` */
  readonly type: string;
  /** Text of the one who wrote it; may be empty. */
  readonly comment: string;
}

/** The words of a line. */
interface Words {
  readonly options: string;
  readonly type: string;
  readonly rest: string;
}

/** Tells whether a line is a public key of SSH, one that is used or not, with or without options in front. */
export function isSshKeyLine(line: string): boolean {
  return wordsOf(line) !== undefined;
}

/**
 * Reads a line as ssh-keygen writes it, also with options of authorized_keys in front (sshd(8)).
 * @throws KeyProblem `not-a-key`, `unsupported`
 */
export function readSshKeyLine(line: string): SshKeyLine {
  const words = wordsOf(line);
  if (words === undefined) throw new KeyProblem('not-a-key', 'holds no SSH key');
  const { options, type, rest } = words;
  if (/(?:^|,)cert-authority(?:,|$)/i.test(withoutQuoted(options))) {
    throw new KeyProblem('unsupported', 'is the key of an authority of SSH, which only signs');
  }
  const { before: digits, after: comment } = splitAt(rest, rest.search(/\s/)) ?? { before: rest, after: '' };
  const blob = Buffer.from(digits, 'base64');
  if (blob.length === 0 || blob.toString('base64') !== digits) throw damaged();
  const named = Buffer.concat([Buffer.alloc(4), Buffer.from(type)]);
  named.writeUInt32BE(type.length);
  if (!blob.subarray(0, named.length).equals(named)) throw damaged();
  return { jwk: publicKeyOfBlob(blob), type, comment: comment.trim() };
}

function wordsOf(line: string): Words | undefined {
  const text = line.trim();
  const first = splitAt(text, text.search(/\s/));
  if (first === undefined) return undefined;
  if (isSshKeyType(first.before)) return { options: '', type: first.before, rest: first.after };
  const afterOptions = splitAt(text, endOfOptions(text));
  const second = afterOptions && splitAt(afterOptions.after, afterOptions.after.search(/\s/));
  if (afterOptions === undefined || second === undefined || !isSshKeyType(second.before)) return undefined;
  return { options: afterOptions.before, type: second.before, rest: second.after };
}

function splitAt(text: string, at: number): { before: string; after: string } | undefined {
  return at <= 0 ? undefined : { before: text.slice(0, at), after: text.slice(at).trimStart() };
}

/** Returns where the first white space outside of quotation marks is; -1 without any. */
function endOfOptions(text: string): number {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '\\' && text[at + 1] === '"') at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (character === ' ' || character === '\t')) return at;
  }
  return -1;
}

function withoutQuoted(options: string): string {
  return options.replace(/"(?:\\"|[^"])*"/g, '');
}

function damaged(): KeyProblem {
  return new KeyProblem('not-a-key', 'holds a damaged SSH key');
}
