import { join } from 'node:path';
import { runProgram } from './programs.ts';

/** A host that images are made for: everyone has the certificate, it alone has the private key. */
export interface Recipient {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Makes a certificate in `open` and its private key in `closed`, which are existing directories. */
export function makeRecipient(open: string, closed: string): Recipient {
  const [certificate, privateKey] = [join(open, 'host.crt'), join(closed, 'host.key')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', privateKey];
  runProgram('openssl', 'req', '-x509', ...key, '-out', certificate, '-subj', '/CN=host');
  return { certificate, privateKey };
}
