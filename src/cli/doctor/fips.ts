import type { CryptoProvider } from '../../crypto/provider.ts';
import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** Where Debian and its relatives have modules of OpenSSL, below the library directory of the architecture. */
const LIBRARIES = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];

/**
 * Examines what of FIPS is switched on. Nothing of it is needed, unless the kernel demands it.
 * @param provider what computes in this process; undefined when that is not known
 */
export function fipsFindings(host: Host, provider: CryptoProvider | undefined): Finding[] {
  const isKernelInMode = host.readFile('/proc/sys/crypto/fips_enabled')?.trim() === '1';
  return [
    ok('FIPS mode of the kernel', isKernelInMode ? 'on' : 'off'),
    providerFinding(host, provider, isKernelInMode),
  ];
}

function providerFinding(host: Host, provider: CryptoProvider | undefined, isWanted: boolean): Finding {
  const subject = 'FIPS provider of OpenSSL';
  if (provider === undefined) return ok(subject, 'not known: OpenSSL of Node.js cannot be asked');
  const which = `${provider.name} ${provider.version ?? ''}`.trim();
  if (provider.isFips && provider.name === 'fips') {
    return ok(subject, `active: ${which} computes what OpenSSL does here; this is no statement about its validation`);
  }
  if (provider.isFips) {
    return warn(subject, `demanded, but ${which} computes`, 'a configuration that loads fips: see docs/security.md');
  }
  const module = moduleOf(host);
  const found = `not active: ${which} computes; ${module === undefined ? 'no module fips.so was found' : `${module} is there`}`;
  return isWanted
    ? warn(subject, found, 'OPENSSL_CONF=FILE, with a configuration as in docs/security.md')
    : ok(subject, found);
}

/** Returns the path of a FIPS module. */
function moduleOf(host: Host): string | undefined {
  const folders = LIBRARIES.flatMap((library) => [library, ...host.names(library).map((name) => `${library}/${name}`)]);
  return folders.map((folder) => `${folder}/ossl-modules/fips.so`).find((path) => host.exists(path));
}
