import { closeSync, constants as fsConstants, openSync } from 'node:fs';
import { enterMountNamespace } from '../../base/linux/namespaces.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';

/** Holds a mount namespace, with the root and the working directory that a thread has in it. */
export class MountNamespace {
  readonly #namespace: number;
  readonly #root: number;
  readonly #directory: number;

  private constructor(namespace: number, root: number, directory: number) {
    this.#namespace = namespace;
    this.#root = root;
    this.#directory = directory;
  }

  /** Holds the namespace of the calling thread by descriptors, which no child inherits. @throws Error */
  static ofThisThread(): MountNamespace {
    return MountNamespace.#open('/proc/thread-self/ns/mnt', '/', '.');
  }

  /**
   * Holds the namespace of another process. Its root is used as the working directory too.
   * @throws Error when this process may not look into it, or it has ended
   */
  static ofProcess(pid: number): MountNamespace {
    return MountNamespace.#open(`/proc/${pid}/ns/mnt`, `/proc/${pid}/root`, `/proc/${pid}/root`);
  }

  /** Takes over descriptors of a namespace and of the root directory in it. @throws Error */
  static fromDescriptors(namespace: number, root: number): MountNamespace {
    return new MountNamespace(namespace, root, openSync(`/proc/self/fd/${root}`, O_PATH));
  }

  static #open(namespace: string, root: string, directory: string): MountNamespace {
    const opened: number[] = [];
    try {
      opened.push(openSync(namespace, fsConstants.O_RDONLY));
      for (const path of [root, directory]) opened.push(openSync(path, O_PATH));
      return new MountNamespace(...(opened as [number, number, number]));
    } catch (cause) {
      for (const fd of opened) closeSync(fd);
      throw cause;
    }
  }

  /** Runs something short in it, on this thread, which then goes back to `own`. @throws what `work` throws, Error */
  run<T>(own: MountNamespace, work: () => T): T {
    this.#enter();
    try {
      return work();
    } finally {
      own.#enter();
    }
  }

  /** Like {@link run}, but the thread stays in it until the promise settles, with everything else that it does. */
  async runAsync<T>(own: MountNamespace, work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      own.#enter();
    }
  }

  close(): void {
    for (const fd of [this.#namespace, this.#root, this.#directory]) closeSync(fd);
  }

  #enter(): void {
    enterMountNamespace(this.#namespace, this.#root, this.#directory);
  }
}
