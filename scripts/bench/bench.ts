import fs from 'node:fs';
import { join } from 'node:path';
import { bash, run } from '../lib/commands.ts';
import { type MachineCosts, type Probe, probe } from './costs.ts';
import type { Options } from './options.ts';
import type { Peers } from './peers/all.ts';
import type { MountPeer } from './peers/peer.ts';
import { isSelected } from './selection.ts';

const project = join(import.meta.dirname, '..', '..');

/** A plain directory that competitors store in their own forms. */
export interface Dataset {
  readonly name: string;
  readonly path: string;
}

/** One run of the benchmark: what scenarios share. */
export class Bench {
  readonly options: Options;
  readonly peers: Peers;
  /** What the machine takes by itself, at the start of the run. */
  readonly costs: MachineCosts;
  /** The directory of all files of this run, on the disk to measure with. */
  readonly directory: string;
  /** A tmpfs: where output goes when the disk is not to be measured. */
  readonly memory: string;
  /** Why something was left out. */
  readonly skipped: string[];
  /** Whether something that should have run did not. */
  failed = false;
  readonly #stores = new Map<string, Promise<string>>();
  #mountPoints = 0;
  #large: Promise<Dataset> | undefined;

  constructor(
    options: Options,
    peers: Peers,
    costs: MachineCosts,
    directory: string,
    memory: string,
    skipped: string[],
  ) {
    this.options = options;
    this.peers = peers;
    this.costs = costs;
    this.directory = directory;
    this.memory = memory;
    this.skipped = skipped;
  }

  say(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  /** Notes that something takes no part, and why. */
  skip(line: string): void {
    const clean = withoutPaths(line, this.directory);
    this.skipped.push(clean);
    this.say(`skipped: ${clean}`);
  }

  /** Like {@link skip}, but for what has to work. */
  fail(line: string): void {
    this.failed = true;
    this.skip(line);
  }

  /** Whether this run measures a scenario: groups need not make its data otherwise. */
  measures(id: string): boolean {
    return isSelected(id, this.options);
  }

  /** Measures the machine's costs as other work leaves them now. */
  async probe(): Promise<Probe> {
    return (await probe(await this.compiled('machine-costs'), this.directory)).median;
  }

  newDirectory(name: string): string {
    const path = join(this.directory, name);
    fs.mkdirSync(path, { recursive: true });
    return path;
  }

  /** Makes a new one for each mount: one that cannot be unmounted is not in the way of the next. */
  newMountPoint(): string {
    this.#mountPoints += 1;
    return this.newDirectory(`mnt-${this.#mountPoints}`);
  }

  /** Makes one file of {@link Options.size} bytes that several groups read, at the first call. */
  large(): Promise<Dataset> {
    this.#large ??= randomDataset(this, 'large', this.options.size);
    return this.#large;
  }

  /** Makes the dataset in a peer's own form, at the first call. */
  stored(peer: MountPeer, dataset: Dataset): Promise<string> {
    const key = `${dataset.name}.${peer.form}`.replaceAll(' ', '-');
    const known = this.#stores.get(key);
    if (known !== undefined) return known;
    const made = peer.store(dataset.path, join(this.directory, key));
    this.#stores.set(key, made);
    return made;
  }

  /** Removes a dataset and all forms of it. */
  async remove(dataset: Dataset): Promise<void> {
    for (const key of [...this.#stores.keys()].filter((name) => name.startsWith(`${dataset.name}.`))) {
      this.#stores.delete(key);
      await run('rm', '-rf', join(this.directory, key));
    }
    await run('rm', '-rf', dataset.path);
  }

  /** Mounts a stored dataset, runs `body`, and unmounts. */
  async mounted<T>(
    peer: MountPeer,
    dataset: Dataset,
    body: (path: string, pid: number | undefined) => Promise<T>,
  ): Promise<T> {
    return this.mountedStore(peer, await this.stored(peer, dataset), body);
  }

  /** Like {@link mounted}, but for a dataset that is already in the peer's own form. */
  async mountedStore<T>(
    peer: MountPeer,
    store: string,
    body: (path: string, pid: number | undefined) => Promise<T>,
  ): Promise<T> {
    const mount = await peer.mount(store, this.newMountPoint());
    try {
      return await body(mount.path, mount.pid);
    } finally {
      await mount.unmount();
    }
  }

  /** Compiles a program of scripts/bench/native and returns its path. */
  compiled(name: string): Promise<string> {
    return compiled(name, this.directory);
  }
}

/** Brings a message to one line that does not tell where this project and the data of the run are. */
export function withoutPaths(message: string, directory: string): string {
  return message.replaceAll(`${directory}/`, '').replaceAll(`${project}/`, '').replaceAll(/\s+/g, ' ');
}

/** Compiles a program of scripts/bench/native into a directory, at the first call, and returns its path. */
export async function compiled(name: string, directory: string): Promise<string> {
  const program = join(directory, 'programs', name);
  if (!fs.existsSync(program)) {
    fs.mkdirSync(join(directory, 'programs'), { recursive: true });
    const source = join(import.meta.dirname, 'native', `${name}.c`);
    await run('gcc', '-O2', '-static', '-pthread', '-o', program, source);
  }
  return program;
}

/** Fills a new directory with one file of random bytes, which nothing can compress or share. */
export async function randomDataset(bench: Bench, name: string, bytes: number): Promise<Dataset> {
  const path = bench.newDirectory(name);
  await run(...bash('head -c "$2" /dev/urandom >"$1/pages-1.img"', path, `${bytes}`));
  return { name, path };
}
