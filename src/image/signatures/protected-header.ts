import { type SignatureAlgorithm, signatureAlgorithms } from '../../crypto/public-key.ts';

/** What the protected header of a signature says (format.md §9). Only the key of the signer can vouch for it. */
export interface SignatureParameters {
  readonly algorithm: SignatureAlgorithm;
  /** The thumbprint of the key of the signer. */
  readonly keyId: string;
  /** When it was made, in seconds since 1970. */
  readonly issuedAt: number;
  /** In DER, that of the signer first; empty when there is none. */
  readonly certificates: readonly Buffer[];
}

export const MAX_SIGNER_CERTIFICATES = 8;
/** Bytes, above what `crypto/certificate.ts` takes. */
const MAX_CERTIFICATE = 65_536;
const KNOWN: ReadonlySet<string> = new Set(['alg', 'kid', 'iat', 'x5c']);

/** Makes a protected header, in base64url. */
export function encodeProtectedHeader(parameters: SignatureParameters): string {
  const { algorithm, keyId, issuedAt, certificates } = parameters;
  const x5c = certificates.map((der) => der.toString('base64'));
  const header = { alg: algorithm, kid: keyId, iat: issuedAt, ...(x5c.length === 0 ? {} : { x5c }) };
  return Buffer.from(JSON.stringify(header), 'utf8').toString('base64url');
}

/**
 * Reads a protected header. Returns undefined for one with a parameter that is not known, such as `crit` or `jwk`, and
 * for values that they cannot have: such a signature is ignored.
 * @param text base64url
 */
export function readProtectedHeader(text: string): SignatureParameters | undefined {
  const header = objectIn(Buffer.from(text, 'base64url'));
  if (header === undefined || [...header.keys()].some((name) => !KNOWN.has(name))) return undefined;
  const algorithm = signatureAlgorithms.find((known) => known === header.get('alg'));
  const [keyId, issuedAt] = [header.get('kid'), header.get('iat')];
  const certificates = header.has('x5c') ? certificatesIn(header.get('x5c')) : [];
  if (algorithm === undefined || certificates === undefined) return undefined;
  if (typeof keyId !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(keyId)) return undefined;
  if (typeof issuedAt !== 'number' || !Number.isSafeInteger(issuedAt) || issuedAt < 0) return undefined;
  return { algorithm, keyId, issuedAt, certificates };
}

function objectIn(bytes: Buffer): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? new Map<string, unknown>(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}

/** They are in base64, and not in base64url (RFC 7515 §4.1.6). */
function certificatesIn(value: unknown): readonly Buffer[] | undefined {
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_SIGNER_CERTIFICATES) return undefined;
  const certificates = value.map((text: unknown) => {
    if (typeof text !== 'string' || text.length > 2 * MAX_CERTIFICATE) return undefined;
    const der = Buffer.from(text, 'base64');
    return der.length > 0 && der.toString('base64') === text ? der : undefined;
  });
  return certificates.every((der) => der !== undefined) ? certificates : undefined;
}
