import { systemErrorName } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';

/** The part of an inode that the other side cannot keep. */
export type LossKind =
  /** The file, directory or link itself, under this name. */
  'entry' | 'owner' | 'mode' | 'times' | 'attributes';

/** Something that could not be kept. */
export interface Loss {
  readonly kind: LossKind;
  /** The number of inodes, or of names for the kind `entry`. */
  readonly count: number;
  /** The first of them. */
  readonly examples: readonly LossExample[];
}

export interface LossExample {
  /** A long path is shortened in the middle. */
  readonly path: string;
  /** The name of an errno, such as `EOPNOTSUPP`. */
  readonly reason: string;
}

/** The number of examples of each kind. */
const MAX_EXAMPLES = 10;
/** The longest path in a message, in characters. */
export const MAX_PATH_SHOWN = 400;

/** Counts what could not be kept, and keeps some examples. */
export class Losses {
  readonly #found = new Map<LossKind, { count: number; examples: LossExample[] }>();

  /** Counts a loss. @param path is called only for an example */
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

  /** Like {@link attempt}, but runs several actions for one inode, all of them, and counts one loss. */
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
