import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What authorities and certificates are valid from and to, as `openssl ca` takes it. */
const AUTHORITY_DATES = ['20200101000000Z', '20900101000000Z'] as const;
export const LEAF_DATES = ['20210101000000Z', '20800101000000Z'] as const;

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'secp256k1' | 'RSA' | 'RSA-1024' | 'Ed25519';

const KEY_OPTIONS: Readonly<Record<KeyKind, readonly string[]>> = {
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'P-521': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  secp256k1: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
  RSA: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'RSA-1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  Ed25519: ['-algorithm', 'ED25519'],
};

export interface Issue {
  readonly kind?: KeyKind;
  /** Lines of an extension section of openssl. */
  readonly extensions?: readonly string[];
  readonly dates?: readonly [string, string];
  readonly digest?: string;
  /** Whether it is an authority, with a key of its own; `root` if it signs itself. */
  readonly authority?: 'root' | 'under';
}

const AUTHORITY_EXTENSIONS = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const LEAF_EXTENSIONS = ['basicConstraints=CA:FALSE', 'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'];

/** Makes certificates, authorities and lists with the openssl command, in a directory of its own. */
export class Pki {
  readonly directory = mkdtempSync(join(tmpdir(), 'ckptfs-pki-'));

  readonly #shared = new Map<KeyKind, string>();

  path(name: string): string {
    return join(this.directory, name);
  }

  openssl(...words: readonly string[]): string {
    return execFileSync('openssl', words, { cwd: this.directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  key(name: string, kind: KeyKind = 'P-256'): void {
    this.openssl('genpkey', ...KEY_OPTIONS[kind], '-out', `${name}.key`);
  }

  /** Makes NAME.key and NAME.csr. Certificates that are not of authorities share one key of each kind. */
  #request(name: string, kind: KeyKind, isShared: boolean): void {
    const made = isShared ? this.#shared.get(kind) : undefined;
    if (made === undefined) {
      this.key(name, kind);
      this.openssl('req', '-new', '-key', `${name}.key`, '-subj', '/CN=replaced', '-out', `${name}.csr`);
    } else {
      for (const end of ['key', 'csr']) copyFileSync(this.path(`${made}.${end}`), this.path(`${name}.${end}`));
    }
    if (isShared) this.#shared.set(kind, name);
  }

  /** Makes a certificate that is signed by its own key. */
  selfSigned(name: string, subject = `/CN=${name}`, options: readonly string[] = []): string {
    this.key(name);
    this.openssl(
      'req',
      '-x509',
      '-utf8',
      '-key',
      `${name}.key`,
      '-subj',
      subject,
      '-days',
      '9000',
      '-out',
      `${name}.crt`,
      ...options,
    );
    return this.path(`${name}.crt`);
  }

  /** Makes an authority, which is signed by `parent`, or by itself. */
  authority(name: string, parent?: string, extensions = AUTHORITY_EXTENSIONS, kind: KeyKind = 'P-256'): string {
    mkdirSync(this.path(name));
    writeFileSync(this.path(`${name}/index.txt`), '');
    writeFileSync(this.path(`${name}/serial`), '1000\n');
    writeFileSync(this.path(`${name}/crlnumber`), '01\n');
    writeFileSync(this.path(`${name}/config`), configOf(name));
    const all = [
      ...extensions,
      'subjectKeyIdentifier=hash',
      ...(parent === undefined ? [] : ['authorityKeyIdentifier=keyid']),
    ];
    const authority = parent === undefined ? 'root' : 'under';
    return this.issue(parent ?? name, name, { kind, extensions: all, dates: AUTHORITY_DATES, authority });
  }

  /** Has an authority issue NAME.crt for NAME.key. Returns its path. */
  issue(issuer: string, name: string, issue: Issue = {}): string {
    const { kind = 'P-256', extensions = LEAF_EXTENSIONS, dates = LEAF_DATES, digest = 'sha256', authority } = issue;
    this.#request(name, kind, authority === undefined);
    writeFileSync(this.path(`${name}.ext`), `${extensions.join('\n')}\n`);
    this.openssl(
      ...[
        'ca',
        '-batch',
        '-notext',
        '-config',
        `${issuer}/config`,
        '-preserveDN',
        '-md',
        digest,
        '-subj',
        `/O=Team/CN=${name}`,
      ],
      ...['-startdate', dates[0], '-enddate', dates[1], '-extfile', `${name}.ext`],
      ...['-in', `${name}.csr`, '-out', `${name}.crt`, ...(authority === 'root' ? ['-selfsign'] : [])],
    );
    return this.path(`${name}.crt`);
  }

  /** Writes several PEM files into one. */
  join(name: string, ...parts: readonly string[]): string {
    writeFileSync(this.path(name), parts.map((part) => readFileSync(this.path(part), 'utf8')).join(''));
    return this.path(name);
  }

  revoke(issuer: string, name: string, reason = 'keyCompromise'): void {
    this.openssl('ca', '-config', `${issuer}/config`, '-revoke', `${name}.crt`, '-crl_reason', reason);
  }

  crl(issuer: string, name: string, options: readonly string[] = ['-crldays', '30']): string {
    this.openssl('ca', '-config', `${issuer}/config`, '-gencrl', ...options, '-out', name);
    return this.path(name);
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true });
  }
}

function configOf(name: string): string {
  return `[ca]
default_ca = d
[d]
database = ${name}/index.txt
serial = ${name}/serial
crlnumber = ${name}/crlnumber
new_certs_dir = ${name}
certificate = ${name}.crt
private_key = ${name}.key
default_md = sha256
unique_subject = no
policy = p
[p]
commonName = optional
organizationName = optional
`;
}
