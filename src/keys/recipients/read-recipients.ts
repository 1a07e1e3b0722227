import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { isPem } from '../../crypto/pem.ts';
import type { PublicJwk } from '../../crypto/public-key.ts';
import { readKeyMaterial } from '../key-material.ts';
import { isKeyList, type KeyList, readKeyList, type SkippedLine } from './key-list.ts';
import { type FileRecipient, recipientIn } from './pem.ts';
import { publicKeyRecipient } from './public-key-recipient.ts';
import { readPublicPart } from './public-parts.ts';

const MAX_NAME = 48;
/** Lines that an error about a list names. */
const MAX_NAMED_LINES = 3;
const PRIVATE_TEXT = /AGE-SECRET-KEY-1|AGE-PLUGIN-.*-1|PRIVATE KEY-----/;

/**
 * Makes recipients of what a user names: a public key of SSH or age as text, or a file with such keys, one a line, or
 * with a public key or certificate in PEM or DER. Of a list every key that can be used becomes a recipient.
 * @param warn is told of each line of a list that was left out
 * @throws CkptfsError `bad-key-file`, also when no key can be used
 */
export async function readRecipients(
  textOrPath: string,
  warn: (message: string) => void = () => {},
): Promise<FileRecipient[]> {
  if (PRIVATE_TEXT.test(textOrPath)) throw privateKeyGiven();
  if (isRecipientText(textOrPath)) return recipientsOfText(Buffer.from(textOrPath), warn);
  const read = (contents: Buffer): FileRecipient[] => recipientsIn(contents, textOrPath, warn);
  return readKeyMaterial('recipient', textOrPath, read).value;
}

/** Tells whether what a user names is the text of a key, and not the path of a file. */
export function isRecipientText(textOrPath: string): boolean {
  return isKeyList(Buffer.from(textOrPath)) || /-----BEGIN /.test(textOrPath) || PRIVATE_TEXT.test(textOrPath);
}

/** Returns the first public key in a file of a form that {@link readRecipients} takes. @throws KeyProblem */
export function readPublicKey(contents: Buffer): PublicJwk {
  if (isPem(contents) || !isKeyList(contents)) return readPublicPart(contents).jwk;
  const { keys, skipped } = readKeyList(contents);
  const [key] = keys;
  if (key === undefined) throw noneUsable(skipped);
  return key.jwk;
}

function recipientsOfText(text: Buffer, warn: (message: string) => void): FileRecipient[] {
  const name = `"${printable(text.toString().trim(), MAX_NAME)}"`;
  try {
    return recipientsIn(text, name, warn);
  } catch (error) {
    if (!(error instanceof KeyProblem)) throw error;
    const reason = error.reason === 'not-a-key' ? 'not-a-recipient' : error.reason;
    throw new CkptfsError('bad-key-file', `recipient ${name} ${error.message}`, { data: { reason } });
  }
}

function recipientsIn(contents: Buffer, name: string, warn: (message: string) => void): FileRecipient[] {
  // A file with a certificate is that, whatever lines follow it.
  if (isPem(contents) || !isKeyList(contents)) return [recipientIn(contents, name)];
  return recipientsOfList(readKeyList(contents), name, warn);
}

function recipientsOfList({ keys, skipped }: KeyList, name: string, warn: (message: string) => void): FileRecipient[] {
  const isAlone = keys.length + skipped.length === 1;
  const left: SkippedLine[] = [...skipped];
  const recipients = new Map<string, FileRecipient>();
  for (const { line, what, jwk, description } of keys) {
    try {
      const source = `${what} ${name}${isAlone ? '' : `, line ${line}`}`;
      const recipient = { ...publicKeyRecipient(source, jwk, description), certificates: [] };
      if (!recipients.has(recipient.keyId)) recipients.set(recipient.keyId, recipient);
    } catch (error) {
      if (!(error instanceof KeyProblem)) throw error;
      left.push({ line, problem: error });
    }
  }
  if (recipients.size === 0) throw noneUsable(left);
  for (const { line, problem } of left) warn(`line ${line} of recipient ${name} ${problem.message}: it is left out`);
  return [...recipients.values()];
}

function noneUsable(skipped: readonly SkippedLine[]): KeyProblem {
  const [first] = skipped;
  if (first !== undefined && skipped.length === 1) return first.problem;
  const named = skipped.slice(0, MAX_NAMED_LINES).map(({ line, problem }) => `line ${line} ${problem.message}`);
  const rest = skipped.length > named.length ? `, and so on for ${skipped.length} lines` : '';
  return new KeyProblem(
    first?.problem.reason ?? 'not-a-key',
    `holds no key that can be used: ${named.join(', ')}${rest}`,
  );
}

/** The text is not repeated, because it is a secret. */
function privateKeyGiven(): CkptfsError {
  const message = 'a recipient is the text of a private key, which only opens images';
  return new CkptfsError('bad-key-file', message, { data: { reason: 'not-a-recipient' } });
}
