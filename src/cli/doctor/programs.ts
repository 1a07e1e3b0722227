import { type Finding, missing, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** What ckptfs runs on, and what restores. @param crypto which implementation of the primitives is in use */
export function programFindings(host: Host, node: string, crypto: 'openssl' | 'node'): Finding[] {
  return [nodeVersion(node), implementation(crypto), criu(host)];
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

function criu(host: Host): Finding {
  const path = host.program('criu');
  const advice = 'install the package criu, version 4 or newer (Debian 13 has 4.1.1)';
  if (path === undefined) return warn('criu', 'not found: needed to dump and restore, not to mount', advice);
  const version = /^Version: (\S+)/m.exec(host.output(path, ['--version']) ?? '')?.[1];
  if (version === undefined) return warn('criu', `${path} does not run`, advice);
  if (Number.parseInt(version, 10) < 4) return warn('criu', `${version} fails on kernels from 6.x on`, advice);
  return ok('criu', `${version}, ${path}`);
}
