import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from './namespace.ts';
import { PATIENCE } from './patience.ts';
import { findProgram } from './requirements.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The package as `npm pack` makes it, and a place where there is nothing else: no compiler, no make, Python or git. */
export class Packed {
  readonly base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-package-')));
  readonly #programs = this.at('programs');
  readonly #tarball: string;
  readonly #cache: string;

  /** @throws Error with what npm says when it does not pack */
  constructor() {
    for (const name of ['programs', 'home']) fs.mkdirSync(this.at(name));
    // All that is in PATH here: what npm and `#!/usr/bin/env node` need.
    fs.symlinkSync(process.execPath, join(this.#programs, 'node'));
    for (const name of ['sh', 'env', 'npm']) {
      fs.symlinkSync(fs.realpathSync(findProgram(name) ?? ''), join(this.#programs, name));
    }
    const npm = findProgram('npm') ?? '';
    // What `npm pack` would build has just been built, and other tests run on it: it must not be built again under
    // them.
    const words = ['pack', '--ignore-scripts', '--pack-destination', this.base];
    const packed = spawnSync(npm, words, { cwd: root, encoding: 'utf8' });
    if (packed.status !== 0) throw new Error(packed.stderr);
    this.#cache = spawnSync(npm, ['config', 'get', 'cache'], { cwd: root, encoding: 'utf8' }).stdout.trim();
    this.#tarball = this.at(fs.readdirSync(this.base).find((name) => name.endsWith('.tgz')) ?? '');
  }

  at(...names: readonly string[]): string {
    return join(this.base, ...names);
  }

  run(program: string, args: readonly string[]): CommandResult {
    const home = this.at('home');
    const env = { ...process.env, PATH: this.#programs, HOME: home, XDG_CONFIG_HOME: home };
    const result = spawnSync(program, args, { cwd: this.base, env, encoding: 'utf8', timeout: PATIENCE });
    if (result.error) throw result.error;
    return { status: result.status, stdout: result.stdout, stderr: result.stderr };
  }

  /** @throws Error with its stderr where it exits with another code than 0 */
  runWell(program: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = this.run(program, args);
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}`);
    return stdout;
  }

  /** Installs the package. @param how options of `npm install` */
  install(...how: readonly string[]): void {
    const where = ['--prefix', this.at('installed'), '--cache', this.#cache, '--prefer-offline'];
    // Old versions of npm run install scripts unless told, newer ones do not unless told: the package works without
    // any.
    this.runWell('npm', 'install', ...how, '--ignore-scripts', '--no-audit', '--no-fund', ...where, this.#tarball);
  }

  remove(): void {
    fs.rmSync(this.base, { recursive: true });
  }
}
