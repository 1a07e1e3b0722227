import { closeSync, openSync, readSync } from 'node:fs';
import { ioError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { disposeAll, MAX_CHAIN_LENGTH, parseCertificates } from '../../crypto/certificate-pem.ts';
import { type UntrustedReason, untrusted } from '../../crypto/certificate-problem.ts';
import { parseRevocationLists, type RevocationList } from '../../crypto/certificate-revocation-list.ts';
import { offHeap } from '../../crypto/off-heap.ts';

const KIB = 1024;
const FIRST_PIECE_BYTES = 16 * KIB;
const MAX_CHAIN_FILE_BYTES = 1024 * KIB;
const MAX_AUTHORITIES_FILE_BYTES = 4096 * KIB;
const MAX_AUTHORITIES = 1024;
const MAX_CRL_FILE_BYTES = 16_384 * KIB;

/**
 * Reads a certificate and those of its issuers, the certificate first, from one file as PEM or DER.
 * @throws CkptfsError `untrusted` (`not-a-certificate`), `io`
 */
export function readCertificateFile(path: string): Certificate[] {
  return readBounded(path, MAX_CHAIN_FILE_BYTES, 'not-a-certificate', (bytes) =>
    parseCertificates(bytes, path, MAX_CHAIN_LENGTH),
  );
}

/** Reads the certificates that are trusted, of several files. @throws CkptfsError `untrusted`, `io` */
export function readAuthorities(paths: readonly string[]): Certificate[] {
  return readAll(paths, (path) =>
    readBounded(path, MAX_AUTHORITIES_FILE_BYTES, 'not-a-certificate', (bytes) =>
      parseCertificates(bytes, path, MAX_AUTHORITIES),
    ),
  );
}

/**
 * Reads lists of revoked certificates, of several files.
 * @throws CkptfsError `untrusted` (`revocation-unknown`), `io`
 */
export function readRevocationLists(paths: readonly string[]): RevocationList[] {
  return readAll(paths, (path) =>
    readBounded(path, MAX_CRL_FILE_BYTES, 'revocation-unknown', (bytes) => parseRevocationLists(bytes, path)),
  );
}

function readAll<T extends { dispose(): void }>(paths: readonly string[], read: (path: string) => T[]): T[] {
  const found: T[] = [];
  try {
    for (const path of paths) found.push(...read(path));
    return found;
  } catch (error) {
    disposeAll(found);
    throw error;
  }
}

/** Reads a file, which may be a pipe, for `parse`, and overwrites what was read: a private key may be in it too. */
function readBounded<T>(path: string, max: number, reason: UntrustedReason, parse: (bytes: Buffer) => T): T {
  let memory = offHeap(FIRST_PIECE_BYTES);
  let length = 0;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    for (let read = -1; read !== 0 && length <= max; length += read) {
      if (length === memory.length) memory = enlarged(memory);
      read = readSync(descriptor, memory, length, memory.length - length, null);
    }
    if (length > max) throw untrusted(path, reason, `larger than ${max} bytes`);
    return parse(memory.subarray(0, length));
  } catch (error) {
    throw ioError('read', path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    wipe(memory);
  }
}

/** Moves what was read into more memory. */
function enlarged(memory: Buffer): Buffer<ArrayBuffer> {
  const larger = offHeap(memory.length * 4);
  memory.copy(larger);
  wipe(memory);
  return larger;
}
