import { CkptfsError } from '../../base/errors.ts';

/** What `-o` of ckptfs mount and the fourth field of fstab can say. */
export interface FuseOptions {
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  /** It was said: mounts that are not for writing are so anyway. */
  readonly readOnly: boolean;
  readonly fsName: string | undefined;
}

/**
 * Already so on every mount of ours, or for mount(8) and systemd alone. mount(8) always passes `rw`, asked or not, so that cannot be what
 * asks for a mount that can be written to.
 */
const withoutEffect = new Set([
  ...['rw', 'nosuid', 'nodev', 'default_permissions', 'defaults'],
  ...['auto', 'noauto', 'user', 'nouser', 'users', 'owner', 'group', 'nofail', '_netdev', 'async', 'sync', 'dirsync'],
  ...['atime', 'noatime', 'diratime', 'nodiratime', 'relatime', 'norelatime', 'strictatime', 'lazytime', 'nolazytime'],
]);

const refused: Readonly<Record<string, string>> = {
  suid: 'set-user-id programs are never honoured on a mount of ckptfs',
  dev: 'devices are never honoured on a mount of ckptfs',
  subtype: 'the type of the mount is always fuse.ckptfs',
};

/**
 * @param options each as given to one `-o`: a list separated by commas
 * @throws CkptfsError `bad-argument` for what is not known or cannot be had
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
    const reason = refused[name];
    if (reason !== undefined) throw badOption(option, reason);
    if (name.startsWith('x-') || name === 'comment') continue;
    if (name === 'fsname' && value) found.fsName = value;
    else if (value !== undefined) throw badOption(option, 'it is not known');
    else if (name === 'allow_other') found.allowOther = true;
    else if (name === 'allow_root') found.allowRoot = true;
    // The last one holds: of fstab's `user,exec` mount(8) makes `noexec,…,exec`.
    else if (name === 'noexec' || name === 'exec') found.noExec = name === 'noexec';
    else if (name === 'ro') found.readOnly = true;
    else if (!withoutEffect.has(name)) throw badOption(option, 'it is not known');
  }
  return found;
}

/** The options of one list, backslashes and all: a comma behind one belongs to the option, as with libfuse. */
export function splitAtCommas(list: string): string[] {
  return list.match(/(?:\\.|[^,\\])+/gs) ?? [];
}

/** What an option of {@link splitAtCommas} stands for. */
export function withoutBackslashes(option: string): string {
  return option.replace(/\\(.)/gs, '$1');
}

function badOption(option: string, reason: string): CkptfsError {
  return new CkptfsError('bad-argument', `mount option ${option}: ${reason}`, {
    data: { reason: 'mount-option' },
  });
}
