/** A name in a directory. */
interface Child {
  /** The name, one character per byte. */
  readonly key: string;
  /** Inode number. */
  inode: number;
  /** Rises with each name added, and stays as long as the name does. */
  readonly serial: number;
}

/** Bytes of a name as a key: one character per byte. */
export function keyOf(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
}

/** The names in one directory, to be found by name, and listed from the newest to the oldest. */
export class Children {
  readonly #byName = new Map<string, Child>();
  /** By serial. Those removed stay until they are as many as the others. */
  #order: Child[] = [];
  #nextSerial = 1;

  get count(): number {
    return this.#byName.size;
  }

  get(key: string): Child | undefined {
    return this.#byName.get(key);
  }

  /** Adds a name, or makes it another inode's in its place. */
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

  /** Returns what was removed, for {@link restore}. */
  remove(key: string): Child | undefined {
    const child = this.#byName.get(key);
    if (child === undefined) return undefined;
    this.#byName.delete(key);
    if (this.#order.length > 2 * this.#byName.size + 16) {
      this.#order = this.#order.filter((other) => this.#byName.get(other.key) === other);
    }
    return child;
  }

  /** Puts back what {@link remove} gave, in its place of the listing. The name must not be there. */
  restore(child: Child): void {
    this.#byName.set(child.key, child);
    const at = this.#firstFrom(child.serial);
    if (this.#order[at] !== child) this.#order.splice(at, 0, child);
  }

  /** The newest name of those with a serial below a bound, or undefined. */
  before(serial: number): Child | undefined {
    for (let at = this.#firstFrom(serial) - 1; at >= 0; at--) {
      const child = this.#order[at] as Child;
      if (this.#byName.get(child.key) === child) return child;
    }
    return undefined;
  }

  /** In no order. */
  all(): IterableIterator<Readonly<Child>> {
    return this.#byName.values();
  }

  /** Index of the first of the ordered names with a serial not below a bound. */
  #firstFrom(serial: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] as Child).serial >= serial) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

export type { Child };
