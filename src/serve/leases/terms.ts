import { createHash } from 'node:crypto';

/** What is done when a key may not be used any more, and when no answer says whether it may. */
export const revokedChoices = ['lock', 'unmount', 'keep'] as const;
export const unreachableChoices = ['keep', 'lock'] as const;
export type OnRevoked = (typeof revokedChoices)[number];
export type OnUnreachable = (typeof unreachableChoices)[number];

/** How long a mount may use its key without asking again, and what follows. Has no secret. */
export interface LeaseTerms {
  /** Undefined: as long as the service says that opened the image, or for ever if it says nothing. */
  readonly seconds?: number | undefined;
  /** By default `lock` where the mount can be locked, and `unmount` elsewhere. */
  readonly onRevoked?: OnRevoked | undefined;
  readonly onUnreachable: OnUnreachable;
  /** With `lock`: how long after the end of the lease the mount locks itself. By default another lease. */
  readonly graceSeconds?: number | undefined;
  readonly check: KeyCheck;
}

/** How the program key-check opens the image anew. Has no secret: paths, names, and commands. */
export interface KeyCheck {
  /** Options of a command line that say what opens the image. Only the command and that program understand them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Where relative names hold: an absolute path. */
  readonly directory: string;
  /** Tells it from one in its place, see `currentDirectoryMark`. */
  readonly directoryMark: string;
  /** Variables besides those that a daemon has, which say where services are. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long one source of a key may take. */
  readonly timeoutSeconds: number;
  /** Whether the processes of the user share the key, and what they are told, for the time of a lease. */
  readonly shared: boolean;
}

/** Returns whether a mount has to be one that can be locked, or should be. */
export function mayLock(terms: LeaseTerms | undefined): boolean {
  if (terms === undefined) return false;
  return terms.onUnreachable === 'lock' || (terms.seconds !== undefined && (terms.onRevoked ?? 'lock') === 'lock');
}

/**
 * Returns the name under which processes share the key of an image: its id, and a hash of the very ways to open it.
 * @param imageId 32 hexadecimal digits
 */
export function sharedName(imageId: string, { options, directory, environment }: KeyCheck): string {
  const text = JSON.stringify([sorted(options), directory, sorted(environment)]);
  return `${imageId}-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

function sorted(record: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(record)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
