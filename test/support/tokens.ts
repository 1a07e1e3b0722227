import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A token of software, in a directory of its own, with keys that are named kek (AES), rsa and ec. */
export interface TestToken {
  readonly directory: string;
  readonly pin: string;
  readonly pinFile: string;
  /** Returns the URI of an object. @param pinSource of it; the file of the PIN by default */
  uri(object: string, pinSource?: string): string;
  /** Certificates of its keys, by the names of the keys. Without an entry a key has none. */
  readonly certificates: Readonly<Record<string, string>>;
  remove(): void;
}

/** A token that keys can be put into. */
export interface SoftHsmToken extends TestToken {
  /** Puts a key of AES into it. */
  importAes(label: string, key: Uint8Array): void;
  /** Makes a key of AES in it. */
  makeAes(label: string): void;
}

const SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so';
const SOFTOKEN = [
  '/usr/lib/x86_64-linux-gnu/libsoftokn3.so',
  '/usr/lib/aarch64-linux-gnu/libsoftokn3.so',
  '/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so',
];
export const hasSoftHsm = existsSync(SOFTHSM);
const softoken = SOFTOKEN.find((path) => existsSync(path)) ?? '';
export const hasSoftoken = softoken !== '';

/** Where p11-kit has the module that gives those of the host, SoftHSM among them. */
const PROXIES = ['/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so', '/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so'];
export const hasProxy =
  PROXIES.some((path) => existsSync(path)) && existsSync('/usr/share/p11-kit/modules/softhsm2.module');

const PIN = 'pin-7f31c2a9';

function begin(name: string): { directory: string; pinFile: string } {
  const directory = mkdtempSync(join(tmpdir(), `ckptfs-${name}-`));
  const pinFile = join(directory, 'pin');
  writeFileSync(pinFile, `${PIN}\n`, { mode: 0o600 });
  return { directory, pinFile };
}

/** Makes a token of SoftHSM, and sets SOFTHSM2_CONF for this process and its children. Its OAEP takes SHA-1 only. */
export function softHsmToken(label = 'ckptfs test'): SoftHsmToken {
  const { directory, pinFile } = begin('softhsm');
  const tokens = join(directory, 'tokens');
  mkdirSync(tokens);
  const configuration = join(directory, 'softhsm2.conf');
  writeFileSync(configuration, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = configuration;
  run('softhsm2-util', '--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', PIN);
  const keys = [
    ['--keygen', '--key-type', 'AES:32', '--label', 'kek', '--id', '01', '--usage-wrap'],
    ['--keypairgen', '--key-type', 'rsa:2048', '--label', 'rsa', '--id', '02', '--usage-decrypt'],
    ['--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'ec', '--id', '03', '--usage-derive'],
  ];
  const tool = (...args: readonly string[]): string =>
    run('pkcs11-tool', '--module', SOFTHSM, '--token-label', label, '--login', '--pin', PIN, ...args);
  for (const key of keys) tool(...key);
  return {
    directory,
    pin: PIN,
    pinFile,
    uri: (object, pinSource = `file:${pinFile}`) =>
      `pkcs11:token=${encodeURIComponent(label)};object=${object}?module-path=${SOFTHSM}&pin-source=${pinSource}`,
    certificates: {},
    importAes: (name, key) => {
      const file = join(directory, name);
      writeFileSync(file, key, { mode: 0o600 });
      const what = ['--type', 'secrkey', '--key-type', 'AES:32', '--label', name, '--usage-wrap'];
      tool('--write-object', file, ...what);
    },
    makeAes: (name) => void tool('--keygen', '--key-type', 'AES:32', '--label', name, '--usage-wrap'),
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** Makes a token of NSS, which has no environment variable: its directory is in the URI. */
export function nssToken(): TestToken {
  const { directory, pinFile } = begin('nss');
  const database = `sql:${directory}`;
  const noise = join(directory, 'noise');
  writeFileSync(noise, 'any bytes that a key is not made of alone');
  run('certutil', '-N', '-d', database, '-f', pinFile);
  run('symkeyutil', '-K', '-n', 'kek', '-t', 'aes', '-s', '32', '-d', database, '-f', pinFile);
  const certificates = Object.fromEntries(
    [
      ['rsa', '-g', '2048'],
      ['ec', '-q', 'nistp256'],
    ].map(([name = '', ...size]) => {
      const make = ['-S', '-n', name, '-s', `CN=${name}`, '-x', '-t', 'u,u,u', '-k', name, ...size, '-v', '12'];
      run('certutil', ...make, '-z', noise, '-d', database, '-f', pinFile);
      const certificate = join(directory, `${name}.crt`);
      writeFileSync(certificate, run('certutil', '-L', '-d', database, '-n', name, '-a'));
      return [name, certificate];
    }),
  );
  const parameters = `configdir='${database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`;
  return {
    directory,
    pin: PIN,
    pinFile,
    uri: (object, pinSource = `file:${pinFile}`) =>
      `pkcs11:token=NSS%20Certificate%20DB;object=${object}?module-path=${softoken}&pin-source=${pinSource}` +
      `&x-init-reserved=${encodeURIComponent(parameters)}`,
    certificates,
    remove: () => rmSync(directory, { recursive: true }),
  };
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });
}
