import { createPublicKey, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CkptfsError, ioError, ioErrorName } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { disposeAll, parseCertificates } from '../../crypto/certificate-pem.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { isPem, type PemBlock, readPem } from '../../crypto/pem.ts';
import { type PublicJwk, publicJwkOf, thumbprint } from '../../crypto/public-key.ts';
import { signatureAlgorithmOf } from '../../crypto/signer.ts';
import { isSshKeyLine, readSshKeyLine } from '../ssh/public-key-line.ts';

/** What a place holds by which signers are trusted. */
export interface TrustedParts {
  readonly keys: readonly { readonly key: PublicJwk; readonly title: string }[];
  /** Those whose keys sign images, in DER. */
  readonly certificates: readonly { readonly keyId: string; readonly der: Buffer; readonly path: string }[];
  /** The files that hold certificates, of signers or of authorities. */
  readonly certificateFiles: readonly string[];
}

const MAX_FILE_SIZE = 4 << 20;
const MAX_FILES = 1024;
const MAX_BLOCKS = 1024;
/** ELOOP is that of a link to itself. */
const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
const KEY_LABELS: ReadonlyMap<string, 'spki' | 'pkcs1'> = new Map([
  ['PUBLIC KEY', 'spki'],
  ['RSA PUBLIC KEY', 'pkcs1'],
]);

/**
 * Reads the public keys and certificates of a file, or of the files of a directory, or an SSH public key.
 * @throws CkptfsError `bad-argument` when there are none, `io`
 */
export function readTrustedPlace(place: string): TrustedParts {
  if (isSshKeyLine(place)) return partsOfText(place);
  const files = filesOf(place);
  const parts = files === undefined ? [partsOf(contentsOf(place), place)] : files.flatMap(partsOfEntry);
  const joined = {
    keys: parts.flatMap(({ keys }) => keys),
    certificates: parts.flatMap(({ certificates }) => certificates),
    certificateFiles: parts.flatMap(({ certificateFiles }) => certificateFiles),
  };
  if (joined.keys.length + joined.certificateFiles.length > 0) return joined;
  throw new CkptfsError('bad-argument', `${place} holds no certificate, and no public key that signs images`, {
    path: place,
  });
}

function partsOfText(text: string): TrustedParts {
  const keys = sshKeysIn(text);
  if (keys.length === 0) throw new CkptfsError('bad-argument', 'the SSH public key is damaged, or signs no images');
  return { keys: keys.map((key) => ({ key, title: 'the SSH public key' })), certificates: [], certificateFiles: [] };
}

/** Returns the paths of the entries of a directory; undefined when it is not one. */
function filesOf(place: string): string[] | undefined {
  try {
    if (!statSync(place).isDirectory()) return undefined;
    const entries = readdirSync(place).sort();
    if (entries.length > MAX_FILES) {
      throw new CkptfsError('bad-argument', `${place} has ${entries.length} files; at most ${MAX_FILES} are read`);
    }
    return entries.map((name) => join(place, name));
  } catch (cause) {
    throw ioError('read', place, cause);
  }
}

/** Leaves out what cannot be meant, and must not stop the others: no file, one that is too large, a link to nothing. */
function partsOfEntry(path: string): TrustedParts[] {
  try {
    const stats = statSync(path);
    return stats.isFile() && stats.size <= MAX_FILE_SIZE ? [partsOf(contentsOf(path), path)] : [];
  } catch (cause) {
    const error = ioError('read', path, cause);
    if (ABSENT.has(ioErrorName(error))) return [];
    throw error;
  }
}

function partsOf(bytes: Buffer, path: string): TrustedParts {
  const certificates = certificatesIn(bytes, path);
  return {
    keys: publicKeysIn(bytes).map((key) => ({ key, title: `public key ${path}` })),
    certificates: certificates.flatMap(({ der, keyId }) => (keyId === undefined ? [] : [{ der, keyId, path }])),
    certificateFiles: certificates.length > 0 ? [path] : [],
  };
}

/** Returns the certificates of a file, in PEM or DER; none where one of them is damaged. */
function certificatesIn(bytes: Buffer, path: string): { readonly der: Buffer; readonly keyId: string | undefined }[] {
  let certificates: Certificate[] = [];
  try {
    certificates = parseCertificates(bytes, path, MAX_BLOCKS);
    return certificates.map((certificate) => ({ der: certificate.der, keyId: keyIdOf(certificate) }));
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'untrusted') return [];
    throw error;
  } finally {
    disposeAll(certificates);
  }
}

/** Returns undefined for a key that signs no images. */
function keyIdOf(certificate: Certificate): string | undefined {
  const key = usable(() => certificate.publicKey);
  return key && thumbprint(key);
}

/** Returns the public keys of a file that sign images, in PEM or DER. */
function publicKeysIn(bytes: Buffer): PublicJwk[] {
  if (!isPem(bytes)) {
    const key = publicKeyOf(bytes, 'spki') ?? publicKeyOf(bytes, 'pkcs1');
    return key === undefined ? sshKeysIn(bytes.toString('latin1')) : [key];
  }
  return blocksOf(bytes).flatMap(({ label, contents }) => {
    const type = KEY_LABELS.get(label);
    const key = type && publicKeyOf(contents, type);
    return key === undefined ? [] : [key];
  });
}

function blocksOf(bytes: Buffer): PemBlock[] {
  try {
    return readPem(bytes, (label) => KEY_LABELS.has(label), MAX_BLOCKS);
  } catch (error) {
    if (error instanceof KeyProblem) return [];
    throw error;
  }
}

function publicKeyOf(der: Buffer, type: 'spki' | 'pkcs1'): PublicJwk | undefined {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: der, format: 'der', type });
  } catch {
    return undefined;
  }
  return usable(() => publicJwkOf(key));
}

function usable(read: () => PublicJwk): PublicJwk | undefined {
  try {
    const key = read();
    return isSigning(key) ? key : undefined;
  } catch (error) {
    if (error instanceof KeyProblem) return undefined;
    throw error;
  }
}

function isSigning(key: PublicJwk): boolean {
  return signatureAlgorithmOf(key) !== undefined;
}

function contentsOf(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_SIZE) {
      throw new CkptfsError('bad-argument', `${path} has ${size} bytes; at most ${MAX_FILE_SIZE} are read`, { path });
    }
    return readFileSync(path);
  } catch (cause) {
    throw ioError('read', path, cause);
  }
}

/** Returns the keys in a text that is public keys of OpenSSH, one a line. Those that sign no images are left out. */
function sshKeysIn(text: string): PublicJwk[] {
  return text.split('\n').flatMap((line) => {
    const key = isSshKeyLine(line) ? usable(() => readSshKeyLine(line).jwk) : undefined;
    return key === undefined ? [] : [key];
  });
}
