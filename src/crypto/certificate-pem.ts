import { Certificate } from './certificate.ts';
import { type UntrustedReason, untrusted } from './certificate-problem.ts';
import { KeyProblem } from './key-problem.ts';
import { readPem } from './pem.ts';

/** Certificates in a chain, the first one and the last one included. */
export const MAX_CHAIN_LENGTH = 8;

const CERTIFICATES: Omit<PemKind, 'max'> = {
  labels: new Set(['CERTIFICATE', 'X509 CERTIFICATE']),
  title: 'certificate',
  reason: 'not-a-certificate',
};

/**
 * Reads the certificates of a PEM file, or the one of a DER file. Blocks of other kinds are passed over.
 * @throws CkptfsError `untrusted` (`not-a-certificate`) when there is none, or one is damaged, or more than `max`
 */
export function parseCertificates(bytes: Buffer, source: string, max: number = MAX_CHAIN_LENGTH): Certificate[] {
  return parseEach(bytes, source, { ...CERTIFICATES, max }, (der) => new Certificate(der, source));
}

/**
 * Parses the certificates of a chain, each in DER, as `x5c` has them (RFC 7515 §4.1.6).
 * @throws CkptfsError `untrusted` (`not-a-certificate`) when one is damaged, there is none, or more than 8
 */
export function parseChain(chain: readonly Uint8Array[], source: string): Certificate[] {
  return parseBlocks(chain, source, { ...CERTIFICATES, max: MAX_CHAIN_LENGTH }, (der) => new Certificate(der, source));
}

/** What a PEM file is searched for. */
export interface PemKind {
  readonly labels: ReadonlySet<string>;
  /** For messages. */
  readonly title: string;
  /** The reason of the error when there is none. */
  readonly reason: UntrustedReason;
  readonly max: number;
}

/** Parses the blocks of a PEM file that are of a kind, or all of a DER file. @throws CkptfsError `untrusted` */
export function parseEach<T extends { dispose(): void }>(
  bytes: Buffer,
  source: string,
  kind: PemKind,
  parse: (der: Uint8Array) => T,
): T[] {
  if (isDer(bytes)) return [parse(bytes)];
  try {
    const blocks = readPem(bytes, (label) => kind.labels.has(label), kind.max + 1);
    const contents = blocks.map((block) => block.contents);
    return parseBlocks(contents, source, kind, parse);
  } catch (error) {
    throw error instanceof KeyProblem ? untrusted(source, kind.reason, error.message) : error;
  }
}

function parseBlocks<T extends { dispose(): void }>(
  blocks: readonly Uint8Array[],
  source: string,
  { title, reason, max }: PemKind,
  parse: (der: Uint8Array) => T,
): T[] {
  if (blocks.length === 0) throw untrusted(source, reason, `not a ${title}`);
  if (blocks.length > max) throw untrusted(source, reason, `more than ${max} ${title}s`);
  const parsed: T[] = [];
  try {
    for (const block of blocks) parsed.push(parse(block));
    return parsed;
  } catch (error) {
    disposeAll(parsed);
    throw error;
  }
}

export function disposeAll(owned: Iterable<{ dispose(): void }>): void {
  for (const one of owned) one.dispose();
}

/** Tells DER from text: a SEQUENCE whose length takes more than a byte begins as no text does. */
function isDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30 && (bytes[1] ?? 0) > 0x80;
}
