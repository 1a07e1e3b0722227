import { MalformedError } from '../base/bytes.ts';
import { membersOf } from './members.ts';

/** What a signature says of a sealed image (format.md §9). */
export interface SignatureStatement {
  /** 16 bytes. */
  readonly imageId: Buffer;
  /** The number of the seal. */
  readonly epoch: number;
  /** SHA-256 of `signedHeaderBytes`, of header.ts. */
  readonly headerDigest: Buffer;
  /** SHA-256 of the file `manifest`. */
  readonly manifestDigest: Buffer;
}

/** One signature: its protected header and its value, both in base64url. */
export interface JwsSignature {
  readonly protected: string;
  readonly signature: string;
}

/** The file `signatures`: a JWS in the general JSON serialization (RFC 7515 §7.2.1). */
export interface SignatureFile {
  readonly statement: SignatureStatement;
  readonly signatures: readonly JwsSignature[];
}

export const MAX_SIGNATURES_SIZE = 1_048_576;
export const MAX_SIGNATURES = 16;
export const DIGEST_BYTES = 32;

const FORMAT = 'ckptfs signature';
const VERSION = 1;

/** Returns the payload of the signatures of an image: the statement as JSON without white space. */
export function encodeStatement({ imageId, epoch, headerDigest, manifestDigest }: SignatureStatement): Buffer {
  const members = {
    format: FORMAT,
    version: VERSION,
    image: imageId.toString('hex'),
    epoch,
    header: headerDigest.toString('base64url'),
    manifest: manifestDigest.toString('base64url'),
  };
  return Buffer.from(JSON.stringify(members), 'utf8');
}

/** Reads a statement, which must be exactly what {@link encodeStatement} makes. @throws MalformedError */
export function parseStatement(bytes: Uint8Array): SignatureStatement {
  const members = membersOf(parseJson(bytes, 'a statement'), 'a statement');
  if (members.get('format') !== FORMAT || members.get('version') !== VERSION) {
    throw new MalformedError('the payload is not a statement of ckptfs');
  }
  const epoch = members.get('epoch');
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 1) throw notWhatItMayBe('epoch');
  const image = members.get('image');
  if (typeof image !== 'string' || !/^[0-9a-f]{32}$/.test(image)) throw notWhatItMayBe('image');
  const statement = {
    imageId: Buffer.from(image, 'hex'),
    epoch,
    headerDigest: digestIn(members, 'header'),
    manifestDigest: digestIn(members, 'manifest'),
  };
  if (!encodeStatement(statement).equals(bytes)) throw new MalformedError('a statement is not in its one form');
  return statement;
}

/** Returns the bytes of the file `signatures`. */
export function encodeSignatures({ statement, signatures }: SignatureFile): Buffer {
  const members = {
    payload: encodeStatement(statement).toString('base64url'),
    signatures: signatures.map((one) => ({ protected: one.protected, signature: one.signature })),
  };
  return Buffer.from(`${JSON.stringify(members, null, 2)}\n`, 'utf8');
}

/**
 * Reads the file `signatures`. Nothing in it is verified, nor are the protected headers looked at.
 * @throws MalformedError
 */
export function parseSignatures(bytes: Uint8Array): SignatureFile {
  if (bytes.length > MAX_SIGNATURES_SIZE) throw new MalformedError(`signatures of ${bytes.length} bytes`);
  const members = membersOf(parseJson(bytes, 'the file'), 'the file');
  const list = members.get('signatures');
  if (!Array.isArray(list) || list.length < 1) throw new MalformedError('the file has no list of signatures');
  if (list.length > MAX_SIGNATURES) {
    throw new MalformedError(`${list.length} signatures; at most ${MAX_SIGNATURES} are possible`);
  }
  const payload = base64UrlIn(members, 'payload', 'the file');
  const file = {
    statement: parseStatement(Buffer.from(payload, 'base64url')),
    signatures: list.map((value: unknown): JwsSignature => {
      const one = membersOf(value, 'a signature');
      const member = (name: string): string => base64UrlIn(one, name, 'a signature');
      return { protected: member('protected'), signature: member('signature') };
    }),
  };
  if (!encodeSignatures(file).equals(bytes)) throw new MalformedError('the file is not in its one form');
  return file;
}

/** Returns the bytes that a signature is made over (RFC 7515 §5.1). */
export function signingInput(protectedHeader: string, statement: SignatureStatement): Buffer {
  return Buffer.from(`${protectedHeader}.${encodeStatement(statement).toString('base64url')}`, 'ascii');
}

function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new MalformedError(`${what} is not JSON`);
  }
}

function digestIn(members: ReadonlyMap<string, unknown>, name: string): Buffer {
  const text = members.get(name);
  const bytes = typeof text === 'string' && text.length === 43 ? Buffer.from(text, 'base64url') : undefined;
  if (bytes?.length !== DIGEST_BYTES) throw notWhatItMayBe(name);
  return bytes;
}

function base64UrlIn(members: ReadonlyMap<string, unknown>, name: string, what: string): string {
  const text = members.get(name);
  const isRight =
    typeof text === 'string' && text !== '' && Buffer.from(text, 'base64url').toString('base64url') === text;
  if (!isRight) throw new MalformedError(`${name} of ${what} is not unpadded base64url`);
  return text;
}

function notWhatItMayBe(name: string): MalformedError {
  return new MalformedError(`${name} of a statement is missing or not what it may be`);
}
