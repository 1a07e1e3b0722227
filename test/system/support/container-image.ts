import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.ts';
import type { Podman } from './podman.ts';
import { runProgram } from './programs.ts';
import { findProgram } from './requirements.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));

/** Where the host's npm is for the steps of the Containerfile. */
const NPM = '/npm';

/** What the steps of the Containerfile, and containers of the image, run. */
const TOOLS = ['sh', 'env', 'cat', 'ls', 'ln', 'mkdir', 'mv', 'date'];

/**
 * Gives podman images in the place of those that a registry would give it, made of programs of this host:
 * `localhost/node` with Node.js and a link to npm, `localhost/base` with a shell and the libraries of both.
 * @param directory an existing directory for their files
 */
export function importBases(podman: Podman, namespace: Namespace, directory: string): void {
  const base = join(directory, 'base');
  makeRoot(base);
  copyLibraries(base, process.execPath);
  podman.import(namespace, base, 'localhost/base');
  const node = join(directory, 'node');
  fs.renameSync(base, node);
  copyProgram(node, process.execPath, '/usr/local/bin/node');
  fs.symlinkSync(`${NPM}/bin/npm-cli.js`, join(node, 'usr/local/bin/npm'));
  podman.import(namespace, node, 'localhost/node');
}

function makeRoot(root: string): void {
  for (const folder of ['bin', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr/local/bin', 'usr/local/lib', 'dev']) {
    fs.mkdirSync(join(root, folder), { recursive: true });
  }
  for (const name of TOOLS) copyProgram(root, findProgram(name) ?? '', `/bin/${name}`);
  fs.mkdirSync(join(root, 'usr/bin'));
  fs.symlinkSync('/bin/env', join(root, 'usr/bin/env'));
  fs.writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
}

function copyProgram(root: string, program: string, as: string): void {
  fs.copyFileSync(fs.realpathSync(program), join(root, as));
  copyLibraries(root, program);
}

function copyLibraries(root: string, program: string): void {
  for (const [library] of runProgram('ldd', fs.realpathSync(program)).matchAll(/\/\S+/g)) {
    fs.mkdirSync(join(root, dirname(library)), { recursive: true });
    fs.copyFileSync(fs.realpathSync(library), join(root, library));
  }
}

/** Packs the package, as it was built, into a directory. `npm pack` alone would build it again under other tests. */
export function packInto(directory: string): void {
  const words = ['pack', '--ignore-scripts', '--pack-destination', directory];
  const { status, stderr } = spawnSync(findProgram('npm') ?? '', words, { cwd: checkout, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm pack: ${stderr}`);
}

/**
 * Returns what `podman build` needs besides what a user types: the images of {@link importBases}, and npm with its
 * registry as this host reaches it.
 * @param directory an existing directory for a configuration of npm
 */
export function buildWords(podman: Podman, directory: string): readonly string[] {
  const setting = (name: string): string =>
    spawnSync(findProgram('npm') ?? '', ['config', 'get', name], { cwd: checkout, encoding: 'utf8' }).stdout.trim();
  const authorities = process.env['NODE_EXTRA_CA_CERTS'];
  const settings = [`registry=${setting('registry')}`, 'cache=/cache', 'prefer-offline=true', 'update-notifier=false'];
  const npmrc = join(directory, 'npmrc');
  fs.writeFileSync(npmrc, [...settings, ...(authorities ? ['cafile=/authorities'] : []), ''].join('\n'));
  const npm = dirname(dirname(fs.realpathSync(findProgram('npm') ?? '')));
  // The configuration is that of the prefix into which the Containerfile installs.
  const volumes = [`${npm}:${NPM}:ro`, `${setting('cache')}:/cache`, `${npmrc}:/installed/etc/npmrc:ro`];
  if (authorities) volumes.push(`${authorities}:/authorities:ro`);
  return [
    ...podman.policy,
    // Nothing is built twice here, so no step is kept as an image.
    ...['--layers=false', '--network', 'host', '--pull-never', ...volumes.flatMap((volume) => ['-v', volume])],
    ...['--build-arg', 'NODE=localhost/node', '--build-arg', 'BASE=localhost/base'],
  ];
}

/**
 * Makes a program `podman` that works as this one does in its namespace, so that lines of the documents can be typed.
 * @param directory an empty directory for it
 * @param build what `podman build` needs besides what is typed
 */
export function makeTypedPodman(podman: Podman, directory: string, build: readonly string[]): void {
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
  const [program = '', ...words] = podman.words();
  const real = [program, ...words.map((word) => (word === 'podman' ? (findProgram('podman') ?? '') : word))];
  const lines = [
    '#!/bin/sh',
    `if [ "$1" = build ]; then shift; set -- build ${quoted(build)} "$@"; fi`,
    `exec ${quoted(real)} "$@"`,
  ];
  fs.writeFileSync(join(directory, 'podman'), `${lines.join('\n')}\n`, { mode: 0o755 });
}
