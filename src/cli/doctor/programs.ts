import { type CompressionName, compressionNames } from '../../format/compressions.ts';
import { type Finding, missing, ok, warn } from './check.ts';

/**
 * Examines what ckptfs runs on.
 * @param node its version
 * @param crypto which implementation of the primitives is in use
 * @param zstd path of the program of that name, if there is one
 * @param compressions those whose libraries are there
 */
export function programFindings(
  node: string,
  crypto: 'openssl' | 'node',
  zstd: string | undefined,
  compressions: readonly CompressionName[],
): Finding[] {
  return [nodeVersion(node), implementation(crypto), archives(node, zstd), compression(compressions)];
}

function numbersOf(version: string): [major: number, minor: number] {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return [major, minor];
}

function nodeVersion(version: string): Finding {
  const [major, minor] = numbersOf(version);
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

function archives(version: string, zstd: string | undefined): Finding {
  const [major, minor] = numbersOf(version);
  if (major > 22 || (major === 22 && minor >= 15)) return ok('archives of zstd', 'by Node.js itself');
  if (zstd !== undefined) return ok('archives of zstd', `by ${zstd}`);
  return warn('archives of zstd', 'refused: this Node.js has no zstd', 'install the program zstd, or Node.js 24');
}

function compression(found: readonly CompressionName[]): Finding {
  const absent = compressionNames.filter((name) => !found.includes(name));
  if (absent.length === 0) return ok('compressed images', `by ${found.join(' and ')}`);
  const packages = absent.map((name) => `lib${name}`).join(' and ');
  return warn('compressed images', `those of ${absent.join(' and ')} are refused`, `install ${packages}`);
}
