import fs from 'node:fs';
import { enterMountNamespace } from './system-calls.ts';

/** From fcntl.h: holds a directory without leave to read it. */
const O_PATH = 0o10000000;

/** A mount namespace, with the root and the working directory that a thread has in it. */
export class MountNamespace {
  readonly #namespace: number;
  readonly #root: number;
  readonly #directory: number;

  private constructor(namespace: number, root: number, directory: number) {
    this.#namespace = namespace;
    this.#root = root;
    this.#directory = directory;
  }

  /** Holds that of the calling thread by descriptors, which no child inherits. @throws Error */
  static ofThisThread(): MountNamespace {
    const namespace = fs.openSync('/proc/thread-self/ns/mnt', fs.constants.O_RDONLY);
    return new MountNamespace(namespace, fs.openSync('/', O_PATH), fs.openSync('.', O_PATH));
  }

  /** Runs something short in it, on this thread, which is in `own` before and afterwards. @throws what `work` throws, Error */
  run<T>(own: MountNamespace, work: () => T): T {
    this.#enter();
    try {
      return work();
    } finally {
      own.#enter();
    }
  }

  close(): void {
    for (const fd of [this.#namespace, this.#root, this.#directory]) fs.closeSync(fd);
  }

  #enter(): void {
    enterMountNamespace(this.#namespace, this.#root, this.#directory);
  }
}
