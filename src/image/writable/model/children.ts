import { firstNotBelow } from '../../../base/search.ts';
/** A name in a directory. */
export interface Child {
  /** The name, one character per byte. */
  readonly key: string;
  /** Inode number. */
  inode: number;
  /** Higher than that of every name added before. It never changes. */
  readonly serial: number;
}

/** Returns the bytes of a name as a key: one character per byte. */
export function keyOf(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
}

/** The names in one directory. They are found by name, and listed from the newest to the oldest. */
export class Children {
  readonly #byName = new Map<string, Child>();
  /** Names by serial. Removed ones stay in it until they are more than the others. */
  #order: Child[] = [];
  #nextSerial = 1;

  get count(): number {
    return this.#byName.size;
  }

  get(key: string): Child | undefined {
    return this.#byName.get(key);
  }

  /** Adds a name. One that exists keeps its serial and leads to `inode` from now on. */
  put(key: string, inode: number): void {
    const known = this.#byName.get(key);
    if (known !== undefined) {
      known.inode = inode;
      return;
    }
    const child = { key, inode, serial: this.#nextSerial++ };
    this.#byName.set(key, child);
    this.#order.push(child);
  }

  /** Removes a name, and returns what {@link restore} needs to put it back. */
  remove(key: string): Child | undefined {
    const child = this.#byName.get(key);
    if (child === undefined) return undefined;
    this.#byName.delete(key);
    if (this.#order.length > 2 * this.#byName.size + 16) {
      this.#order = this.#order.filter((other) => this.#byName.get(other.key) === other);
    }
    return child;
  }

  /** Puts back a name that was removed, at its old place in the listing. The name must not exist. */
  restore(child: Child): void {
    this.#byName.set(child.key, child);
    const index = firstNotBelow(this.#order, child.serial, isOlder);
    if (this.#order[index] !== child) this.#order.splice(index, 0, child);
  }

  /** Returns the newest name with a serial below a bound, or undefined. */
  before(serial: number): Child | undefined {
    for (let index = firstNotBelow(this.#order, serial, isOlder) - 1; index >= 0; index--) {
      const child = this.#order[index] as Child;
      if (this.#byName.get(child.key) === child) return child;
    }
    return undefined;
  }

  /** Returns all names, in no order. */
  all(): IterableIterator<Readonly<Child>> {
    return this.#byName.values();
  }
}

function isOlder(child: Child, serial: number): boolean {
  return child.serial < serial;
}
