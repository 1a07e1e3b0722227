/** One name in a directory. */
export interface Child {
  readonly name: string;
  readonly cookie: number;
  /** What the name stands for; changes when something takes its place. */
  node: number;
}

/** Cookies below are those of "." and "..". */
const firstCookie = 3;

/**
 * The names of a directory, one character per byte. A later name comes before an earlier one, as FileSystem.entryAfter
 * requires.
 */
export class MemoryDirectory {
  readonly #byName = new Map<string, Child>();
  /** In the order they were added, so with ascending cookies. */
  readonly #added: Child[] = [];
  #nextCookie = firstCookie;

  get size(): number {
    return this.#added.length;
  }

  get children(): readonly Child[] {
    return this.#added;
  }

  find(name: string): Child | undefined {
    return this.#byName.get(name);
  }

  /** Adds a name, or gives the one that is there to another node. */
  put(name: string, node: number): void {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      known.node = node;
      return;
    }
    const child = { name, node, cookie: this.#nextCookie++ };
    this.#byName.set(name, child);
    this.#added.push(child);
  }

  remove(name: string): void {
    const child = this.#byName.get(name);
    if (child === undefined) throw new Error(`there is no ${name}`);
    this.#byName.delete(name);
    this.#added.splice(this.#countBelow(child.cookie), 1);
  }

  /** The child listed after this cookie; the first one where it is none of a child. */
  after(cookie: number): Child | undefined {
    const below = cookie < firstCookie ? this.#added.length : this.#countBelow(cookie);
    return this.#added[below - 1];
  }

  #countBelow(cookie: number): number {
    let low = 0;
    let high = this.#added.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#added[middle]?.cookie ?? cookie) < cookie) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
