import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where a run keeps its files: in memory, so that no disk is measured, but for what is meant to be read from one. */
export class Site {
  readonly memory: string;
  readonly disk: string;
  readonly ckptfs = join(import.meta.dirname, '..', '..', '..', 'bin', 'ckptfs');

  /**
   * @param memory a tmpfs
   * @param disk a directory on a disk
   */
  constructor(memory: string, disk: string) {
    this.memory = memory;
    this.disk = disk;
    for (const path of [this.state, this.tools]) mkdirSync(path);
  }

  in(...names: readonly string[]): string {
    return join(this.memory, ...names);
  }

  /** Where a program has its files, when it is dumped and when it is restored. */
  get state(): string {
    return this.in('state');
  }

  get tools(): string {
    return this.in('tools');
  }

  get records(): string {
    return this.in('records');
  }

  get key(): string {
    return this.in('key');
  }

  /** What the scripts of a place see. */
  get variables(): Readonly<Record<string, string>> {
    const { ckptfs, state, tools, records, key } = this;
    return { ckptfs, state, tools, records, key };
  }
}
