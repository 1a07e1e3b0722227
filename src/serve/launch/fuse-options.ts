import { CkptfsError } from '../../base/errors.ts';

/** The options that `-o` of ckptfs mount and the fourth field of fstab can set. */
export interface FuseOptions {
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  /** Whether `ro` was given. Mounts without `--write` are read-only anyway. */
  readonly readOnly: boolean;
  readonly fsName: string | undefined;
}

/**
 * Options that every ckptfs mount has anyway, and those for mount(8) and systemd alone. mount(8) passes `rw` whether it
 * was given or not, so `rw` cannot ask for a writable mount.
 */
const WITHOUT_EFFECT = new Set([
  ...['rw', 'nosuid', 'nodev', 'default_permissions', 'defaults'],
  ...['auto', 'noauto', 'user', 'nouser', 'users', 'owner', 'group', 'nofail', '_netdev', 'async', 'sync', 'dirsync'],
  ...['atime', 'noatime', 'diratime', 'nodiratime', 'relatime', 'norelatime', 'strictatime', 'lazytime', 'nolazytime'],
]);

const REFUSED: Readonly<Record<string, string>> = {
  suid: 'set-user-id programs are never honoured on a mount of ckptfs',
  dev: 'devices are never honoured on a mount of ckptfs',
  subtype: 'the type of the mount is always fuse.ckptfs',
};

/**
 * Parses lists of options that are separated by commas, one list for each `-o`.
 * @throws CkptfsError `bad-argument` for an option that is unknown or cannot be granted
 */
export function parseFuseOptions(options: readonly string[]): FuseOptions {
  const found = {
    allowOther: false,
    allowRoot: false,
    noExec: false,
    readOnly: false,
    fsName: undefined as string | undefined,
  };
  for (const option of options.flatMap(splitAtCommas).map(withoutBackslashes)) {
    const equals = option.indexOf('=');
    const name = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? undefined : option.slice(equals + 1);
    const reason = REFUSED[name];
    if (reason !== undefined) throw badOption(option, reason);
    if (name.startsWith('x-') || name === 'comment') continue;
    if (name === 'fsname' && value) found.fsName = value;
    else if (value !== undefined) throw badOption(option, 'it is not known');
    else if (name === 'allow_other') found.allowOther = true;
    else if (name === 'allow_root') found.allowRoot = true;
    // The last one counts: mount(8) makes `noexec,…,exec` of fstab's `user,exec`.
    else if (name === 'noexec' || name === 'exec') found.noExec = name === 'noexec';
    else if (name === 'ro') found.readOnly = true;
    else if (!WITHOUT_EFFECT.has(name)) throw badOption(option, 'it is not known');
  }
  return found;
}

/** Splits a list, and keeps backslashes. A comma after a backslash belongs to the option, as in libfuse. */
export function splitAtCommas(list: string): string[] {
  return list.match(/(?:\\.|[^,\\])+/gs) ?? [];
}

/** Removes the backslashes from an option of {@link splitAtCommas}. */
export function withoutBackslashes(option: string): string {
  return option.replace(/\\(.)/gs, '$1');
}

function badOption(option: string, reason: string): CkptfsError {
  return new CkptfsError('bad-argument', `mount option ${option}: ${reason}`, {
    data: { reason: 'mount-option' },
  });
}
