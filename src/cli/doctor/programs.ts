import { type Finding, missing, ok, warn } from './check.ts';

/** Examines what ckptfs runs on. @param crypto which implementation of the primitives is in use */
export function programFindings(node: string, crypto: 'openssl' | 'node'): Finding[] {
  return [nodeVersion(node), implementation(crypto)];
}

function nodeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    return missing('Node.js', `${version} is too old`, 'install 20.19 or newer, best 24: https://nodejs.org');
  }
  if (major < 22) return warn('Node.js', `${version} gets no security fixes any more`, 'version 24 is best');
  return ok('Node.js', version);
}

function implementation(crypto: 'openssl' | 'node'): Finding {
  if (crypto === 'openssl') return ok('crypto', 'OpenSSL of Node.js, called directly');
  return warn('crypto', 'node:crypto: correct, but several times slower', 'use a Node.js build that exports OpenSSL');
}
