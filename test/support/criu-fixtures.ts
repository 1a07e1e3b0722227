import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Directories that CRIU encrypted, and their plain twins; the README beside them says where they are from. */
export const CRIU_FIXTURES = path.join(import.meta.dirname, '..', 'fixtures', 'criu-encrypted');

interface FixtureFile {
  readonly size?: number;
  readonly sha256?: string;
  /** The target of a symbolic link. */
  readonly link?: string;
}

interface FixtureSecrets {
  /** In hexadecimal, as everything here. */
  readonly token: string;
  readonly aes_key: string;
  readonly aes_iv: string;
  readonly hmac_digest: string;
}

export interface CriuCase {
  readonly name: string;
  readonly encrypted: string;
  readonly plain: string;
  /** The path of the private key that opens it. */
  readonly key: string;
  /** By layer: '.' for the directory itself. */
  readonly secrets: Readonly<Record<string, FixtureSecrets>>;
  /** By path. */
  readonly plainFiles: Readonly<Record<string, FixtureFile>>;
}

interface Manifest {
  readonly cases: Readonly<
    Record<
      string,
      {
        readonly key: string;
        readonly secrets: Readonly<Record<string, FixtureSecrets>>;
        readonly plain: Readonly<Record<string, FixtureFile>>;
      }
    >
  >;
}

const manifest = JSON.parse(readFileSync(path.join(CRIU_FIXTURES, 'manifest.json'), 'utf8')) as Manifest;

export const criuCases: readonly CriuCase[] = Object.entries(manifest.cases).map(([name, { key, secrets, plain }]) => ({
  name,
  encrypted: path.join(CRIU_FIXTURES, name, 'encrypted'),
  plain: path.join(CRIU_FIXTURES, name, 'plain'),
  key: path.join(CRIU_FIXTURES, key),
  secrets,
  plainFiles: plain,
}));

export function criuCase(name: string): CriuCase {
  const found = criuCases.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no case ${name}`);
  return found;
}

/** One directory with cipher.img of a case. */
export interface CriuLayerFixture {
  readonly name: string;
  readonly encrypted: string;
  readonly plain: string;
  readonly key: string;
  readonly secrets: Buffer;
}

export const criuLayers: readonly CriuLayerFixture[] = criuCases.flatMap(({ name, encrypted, plain, key, secrets }) =>
  Object.entries(secrets).map(([layer, { token, aes_key }]) => ({
    name: layer === '.' ? name : `${name}/${layer}`,
    encrypted: path.join(encrypted, layer),
    plain: path.join(plain, layer),
    key,
    secrets: Buffer.from(token + aes_key, 'hex'),
  })),
);

export function criuLayer(name: string): CriuLayerFixture {
  const found = criuLayers.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no layer ${name}`);
  return found;
}
