import { FileModel } from './file-model.ts';

/** Files by their paths. A copy. */
export type Names = Map<string, FileModel>;

/** What an image that is being written holds, and what it may hold after its writer was killed. */
export class TreeModel {
  #names: Names = new Map();
  /** Before the change of names that was begun and not answered. */
  #namesBefore: Names | undefined;
  #step = 0;
  #committed = 0;
  /** Since the last commit, files without a name included. */
  readonly #changed = new Set<FileModel>();

  get paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  file(path: string): FileModel | undefined {
    return this.#names.get(path);
  }

  /** Begins one change of a file's content. */
  change(file: FileModel, apply: (step: number) => void): void {
    this.#changed.add(file);
    apply(++this.#step);
  }

  /** Begins a change of names, which is to be answered before anything else is done. */
  changeNames(apply: (names: Names) => void): void {
    this.#namesBefore = new Map(this.#names);
    apply(this.#names);
  }

  /** A change of names was answered: it lasts. */
  namesLast(): void {
    this.#namesBefore = undefined;
  }

  /** All contents last from now on. */
  contentsLast(): void {
    this.#committed = this.#step;
    for (const file of this.#changed) file.commit();
    this.#changed.clear();
  }

  /** Compares with what is there. @throws Error where it is anything else */
  check(found: ReadonlyMap<string, Buffer>): void {
    const paths = [...found.keys()].sort();
    if (paths.join() !== this.paths.join())
      throw new Error(`there are ${paths.join()} instead of ${this.paths.join()}`);
    for (const [path, content] of found) {
      const { content: expected } = this.#names.get(path) as FileModel;
      if (content.equals(expected)) continue;
      const at = content.findIndex((byte, index) => byte !== expected[index]);
      throw new Error(`${path}: ${content.length} bytes instead of ${expected.length}, different from ${at} on`);
    }
  }

  /**
   * Compares with what was found after the writer was killed, and takes that for what there is.
   * @throws Error where that is no state after the last commit
   */
  checkKilled(found: ReadonlyMap<string, Buffer>): void {
    const faults: string[] = [];
    for (const names of [this.#names, ...(this.#namesBefore === undefined ? [] : [this.#namesBefore])]) {
      const fault = this.#ruledOut(names, found);
      if (fault === undefined) {
        this.#adopt(names, found);
        return;
      }
      faults.push(fault);
    }
    throw new Error(`after the kill ${faults.join('; or ')}`);
  }

  /** Names of one file stay names of one file. */
  #adopt(names: Names, found: ReadonlyMap<string, Buffer>): void {
    const files = new Map([...names].map(([path, file]) => [file, new FileModel(found.get(path) as Buffer)]));
    this.#names = new Map([...names].map(([path, file]) => [path, files.get(file) as FileModel]));
    this.#namesBefore = undefined;
    this.contentsLast();
  }

  #ruledOut(names: Names, found: ReadonlyMap<string, Buffer>): string | undefined {
    const [there, wanted] = [[...found.keys()].sort().join(), [...names.keys()].sort().join()];
    if (there !== wanted) return `there are ${there} instead of ${wanted}`;
    const possible: boolean[] = new Array(this.#step - this.#committed + 1).fill(true);
    for (const [path, file] of names) {
      const fault = file.exclude(found.get(path) as Buffer, this.#committed, possible);
      if (fault !== undefined)
        return `${path} does not fit to the others: ${fault}; steps ${this.#committed} to ${this.#step}`;
    }
    return undefined;
  }
}
