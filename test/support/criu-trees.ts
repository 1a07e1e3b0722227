import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { PrivateKeyFile } from '../../src/keys/identities/private-key-file.ts';
import { CRIU_FIXTURES, criuCase } from './criu-fixtures.ts';

const temporary: string[] = [];

afterEach(() => {
  for (const each of temporary.splice(0)) rmSync(each, { recursive: true });
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'criu-tree-'));
  temporary.push(directory);
  return directory;
}

/** Copies the encrypted directory of a case, to be changed. */
export function copyOfCase(name: string): string {
  const copy = path.join(temporaryDirectory(), 'dump');
  cpSync(criuCase(name).encrypted, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

export function keyPath(name: string): string {
  return path.join(CRIU_FIXTURES, 'keys', name);
}

/** Reads a key of the fixtures, as a command does with `--private-key`. */
export function fixtureIdentity(name = 'rsa2048-key.pem'): PrivateKeyFile {
  return PrivateKeyFile.read(keyPath(name));
}

/** Tells contents apart as text, which a test compares sooner than bytes. */
export function digestOf(contents: Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex');
}

/** The digest of every regular file below a directory, by path. */
export function filesIn(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => path.relative(directory, path.join(parentPath, name))).sort();
  return new Map(paths.map((each) => [each, digestOf(readFileSync(path.join(directory, each)))]));
}
