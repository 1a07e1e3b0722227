import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A private certificate authority, made by the openssl command in a directory of its own. */
export class TlsAuthority {
  readonly directory = mkdtempSync(join(tmpdir(), 'ckptfs-tls-'));
  readonly caFile = join(this.directory, 'ca.pem');
  readonly #caKey = join(this.directory, 'ca.key');

  constructor() {
    this.#openssl('req', '-x509', ...NEW_KEY, '-keyout', this.#caKey, '-out', this.caFile, '-subj', '/CN=test CA');
  }

  /**
   * @param subjectAltName such as `IP:127.0.0.1`
   * @param days of validity, negative for one that has expired
   * @param usage that it is restricted to, such as `clientAuth`
   */
  issue(name: string, subjectAltName: string, days = 1, usage?: string): Issued {
    const [request, extensions] = [join(this.directory, `${name}.csr`), join(this.directory, `${name}.ext`)];
    const certFile = join(this.directory, `${name}.pem`);
    const keyFile = join(this.directory, `${name}.key`);
    const restriction = usage === undefined ? '' : `extendedKeyUsage=${usage}\n`;
    writeFileSync(extensions, `subjectAltName=${subjectAltName}\n${restriction}`);
    this.#openssl('req', ...NEW_KEY, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
    const authority = ['-CA', this.caFile, '-CAkey', this.#caKey, '-CAcreateserial', '-extfile', extensions];
    this.#openssl('x509', '-req', '-in', request, '-out', certFile, '-days', String(days), ...authority);
    return { certFile, keyFile };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;
