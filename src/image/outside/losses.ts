import { systemErrorName } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';

/** What of an inode the other side cannot keep. */
export type LossKind =
  /** The file, directory or link itself, under this name. */
  'entry' | 'owner' | 'mode' | 'times' | 'attributes';

/** Something that could not be kept. */
export interface Loss {
  readonly kind: LossKind;
  /** How many inodes, or names of kind `entry`, it is about. */
  readonly count: number;
  /** The first of them. */
  readonly examples: readonly LossExample[];
}

export interface LossExample {
  /** Of a long one the middle is left out. */
  readonly path: string;
  /** The name of an errno, such as `EOPNOTSUPP`. */
  readonly reason: string;
}

/** How many of each kind are named. */
const MAX_EXAMPLES = 10;
/** Characters of a path that is named. */
export const MAX_PATH_SHOWN = 400;

/** Counts what could not be kept, and remembers a bounded number of it. */
export class Losses {
  readonly #found = new Map<LossKind, { count: number; examples: LossExample[] }>();

  /** @param path asked for only where it is going to be named */
  add(kind: LossKind, path: () => string, reason: string): void {
    let loss = this.#found.get(kind);
    if (loss === undefined) {
      loss = { count: 0, examples: [] };
      this.#found.set(kind, loss);
    }
    loss.count++;
    if (loss.examples.length < MAX_EXAMPLES) {
      loss.examples.push({ path: printable(path(), MAX_PATH_SHOWN), reason });
    }
  }

  /** Runs `action`; an error of `reasons` is counted instead of thrown. @returns whether it succeeded */
  attempt(kind: LossKind, reasons: ReadonlySet<string>, path: () => string, action: () => void): boolean {
    return this.attemptEach(kind, reasons, path, [action]);
  }

  /** As {@link attempt}, for several of one inode: all are tried, and it is counted once. */
  attemptEach(
    kind: LossKind,
    reasons: ReadonlySet<string>,
    path: () => string,
    actions: readonly (() => void)[],
  ): boolean {
    let reason: string | undefined;
    for (const action of actions) {
      try {
        action();
      } catch (error) {
        const code = systemErrorName(error) ?? '';
        if (!reasons.has(code)) throw error;
        reason ??= code;
      }
    }
    if (reason !== undefined) this.add(kind, path, reason);
    return reason === undefined;
  }

  list(): Loss[] {
    return [...this.#found].map(([kind, { count, examples }]) => ({ kind, count, examples }));
  }
}
