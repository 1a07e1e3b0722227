import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkServerIdentity, createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import type { SourceOptions } from './source.ts';

/** SSL_OP_CLEANSE_PLAINTEXT: OpenSSL overwrites what it has decrypted once it was read. node:constants lacks it. */
const CLEANSE_PLAINTEXT = 0x2;

type Files = Pick<SourceOptions, 'caFile' | 'certFile' | 'certKeyFile'>;

/**
 * Reads the certificates that a server is believed by, and those that it is shown, into what TLS takes.
 * @param ciphers the suites that are offered, as OpenSSL writes them; those of Node unless told
 * @throws CkptfsError `bad-key-file` when a file cannot be read, or is not what it must be
 */
export function readCertificates({ caFile, certFile, certKeyFile }: Files, ciphers?: string): SecureContext {
  const ca = caFile === undefined ? undefined : read(caFile);
  const cert = certFile === undefined ? undefined : read(certFile);
  const key = certKeyFile === undefined ? undefined : read(certKeyFile);
  try {
    // An authority that cannot be read would be left out, without an error.
    if (ca !== undefined) new X509Certificate(ca);
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(ciphers === undefined ? {} : { ciphers }),
      minVersion: 'TLSv1.2',
      secureOptions: CLEANSE_PLAINTEXT,
    });
  } catch (error) {
    const names = [caFile, certFile, certKeyFile].filter((name) => name !== undefined).join(', ');
    const message = `the certificates for the server are not usable: ${systemErrorName(error)} in ${names}`;
    throw new CkptfsError('bad-key-file', message, { data: { reason: 'not-a-key' }, cause: error });
  } finally {
    if (key !== undefined) wipe(key);
  }
}

/**
 * Tells why a certificate is not one for a host. The host must be among its alternative names (RFC 9525 §2): Node would
 * take the common name in their place, which an authority may let anyone choose.
 */
export function checkHost(host: string, certificate: PeerCertificate): Error | undefined {
  return checkServerIdentity(host, { ...certificate, subject: { ...certificate.subject, CN: '' } });
}

/** @throws CkptfsError `bad-argument` for a client certificate without its key, or the reverse */
export function checkCertificateFiles({ certFile, certKeyFile }: Files): void {
  if ((certFile === undefined) !== (certKeyFile === undefined))
    throw new CkptfsError('bad-argument', 'a client certificate needs both files, the certificate and its private key');
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { message } = ioError('read', path, error);
    const reason = systemErrorName(error) === 'ENOENT' ? 'missing' : 'unreadable';
    throw new CkptfsError('bad-key-file', message, { path, data: { reason }, cause: error });
  }
}
