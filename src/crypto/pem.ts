import { wipe } from '../base/wipe.ts';
import { decodeBase64 } from './base64.ts';
import { KeyProblem } from './key-problem.ts';
import { offHeap } from './off-heap.ts';

/** A block of a PEM file (RFC 7468, RFC 1421). */
export interface PemBlock {
  /** After the word BEGIN: `PRIVATE KEY`. */
  readonly label: string;
  /** The lines of headers, such as those of encryption (RFC 1421 §4.6); empty without them. */
  readonly headers: string;
  /** What base64 encodes, off the heap. The caller wipes it. */
  readonly contents: Buffer;
}

const BEGIN = Buffer.from('-----BEGIN ');
const DASHES = Buffer.from('-----');
const MAX_LABEL = 64;
const MAX_HEADERS = 512;
const MAX_BLOCKS = 64;

const [LINE_FEED, RETURN, SPACE, TAB, COLON] = [0x0a, 0x0d, 0x20, 0x09, 0x3a];

/** Tells whether a file is PEM, and not DER. */
export function isPem(text: Buffer): boolean {
  return text.includes(BEGIN);
}

/**
 * Reads the blocks of a PEM file, at most `max`. What is around them is ignored. Neither the text nor what it encodes
 * becomes a JavaScript string.
 * @param wanted tells by its label whether a block is read; the others are skipped
 * @throws KeyProblem `not-a-key` for a block that does not end or is no base64
 */
export function readPem(text: Buffer, wanted: (label: string) => boolean, max = MAX_BLOCKS): PemBlock[] {
  const blocks: PemBlock[] = [];
  try {
    for (let at = text.indexOf(BEGIN); at !== -1 && blocks.length < max; ) {
      const labelStart = at + BEGIN.length;
      const labelEnd = text.indexOf(DASHES, labelStart);
      if (labelEnd === -1 || labelEnd - labelStart > MAX_LABEL) throw damaged('has no label');
      const label = text.toString('latin1', labelStart, labelEnd);
      const end = text.indexOf(`-----END ${label}-----`, labelEnd);
      if (end === -1) throw damaged('does not end');
      if (wanted(label)) blocks.push(readBlock(label, text.subarray(labelEnd + DASHES.length, end)));
      at = text.indexOf(BEGIN, end);
    }
    return blocks;
  } catch (error) {
    wipeBlocks(blocks);
    throw error;
  }
}

export function wipeBlocks(blocks: readonly PemBlock[]): void {
  for (const { contents } of blocks) wipe(contents);
}

function readBlock(label: string, body: Buffer): PemBlock {
  const start = endOfHeaders(body);
  return { label, headers: body.toString('latin1', 0, start).trim(), contents: contentsOf(body.subarray(start)) };
}

/** Returns where the base64 begins: after an empty line, if a line before it has a colon. */
function endOfHeaders(body: Buffer): number {
  if (!body.includes(COLON)) return 0;
  const [unix, dos] = [body.indexOf('\n\n'), body.indexOf('\r\n\r\n')];
  const end = unix === -1 ? dos : unix;
  if (end === -1 || end > MAX_HEADERS) throw damaged('has headers that do not end');
  return end + 2;
}

function contentsOf(text: Uint8Array): Buffer {
  const digits = offHeap(text.length);
  let count = 0;
  for (const byte of text) {
    if (byte !== LINE_FEED && byte !== RETURN && byte !== SPACE && byte !== TAB) digits[count++] = byte;
  }
  const contents = count === 0 ? undefined : decodeBase64(digits.subarray(0, count));
  wipe(digits);
  if (contents === undefined) throw damaged('is no base64');
  return contents;
}

function damaged(what: string): KeyProblem {
  return new KeyProblem('not-a-key', `holds a PEM block that ${what}`);
}
