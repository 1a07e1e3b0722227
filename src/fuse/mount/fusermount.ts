import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { receiveDescriptor } from '../../base/linux/passed-descriptors.ts';
import { socketPair } from '../../base/linux/sockets.ts';

/** The set-user-id helper of libfuse 3, and that of libfuse 2, which takes the same arguments. */
const HELPERS = ['fusermount3', 'fusermount'] as const;

/** The folders where distributions put the helper, for callers whose PATH lacks them. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin:/run/wrappers/bin';

/** The descriptor, in the helper, of the socket over which it sends /dev/fuse. */
const HELPER_SOCKET = 3;

/**
 * The time for both programs that can unmount. They end at once, unless the kernel waits for the process that serves
 * the mount.
 */
const UNMOUNT_MILLISECONDS = 30_000;

interface Outcome {
  readonly exitCode: number | null;
  readonly errorText: string;
}

/**
 * Mounts as an ordinary user: the helper opens /dev/fuse, mounts it, and sends the descriptor over a socket.
 * @param options like those of mount(8), with commas escaped, without `fd`, `user_id` and others that the helper adds
 * @returns the open /dev/fuse, close-on-exec
 * @throws CkptfsError `missing-feature`, `mount-failed`
 */
export async function mountByHelper(mountPoint: string, options: readonly string[]): Promise<number> {
  const [ours, theirs] = socketPair();
  try {
    const { exitCode, errorText } = await runHelper(['-o', options.join(','), '--', mountPoint], theirs);
    if (exitCode !== 0) throw mountFault(mountPoint, errorText);
    // Must follow the exit: a helper that failed has sent nothing, and receiving would wait for ever.
    const fd = receiveDescriptor(ours);
    if (fd === undefined) throw mountFault(mountPoint, 'the helper sent no descriptor');
    return fd;
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

/**
 * Unmounts a mount of this user by the helper or, if that fails, by umount(8), which is set-user-id as well. The helper
 * reads /etc/mtab, which some hosts lack; umount(8) reads the kernel's own table.
 * @throws CkptfsError `busy`, `not-mounted`, `missing-feature`, `mount-failed`; `no-answer` when neither ends in time
 */
export async function unmountByHelper(mountPoint: string, lazy: boolean): Promise<void> {
  const deadline = Deadline.after(UNMOUNT_MILLISECONDS);
  const args = ['-u', ...(lazy ? ['-z'] : []), '--', mountPoint];
  const first = await helped(deadline, mountPoint, runAnyHelper(args));
  if (first?.exitCode === 0) return;
  const busy = (outcome: Outcome | undefined): boolean => /busy/i.test(outcome?.errorText ?? '');
  if (busy(first))
    throw new CkptfsError('busy', `${mountPoint} is in use`, { path: mountPoint, data: { reason: 'in-use' } });
  if (/not found in/.test(first?.errorText ?? '')) {
    throw new CkptfsError('not-mounted', `${mountPoint} is not a mount of this user`, { path: mountPoint });
  }
  // Its own helper would call this again.
  const words = ['-i', ...(lazy ? ['-l'] : []), '--', mountPoint];
  const second = await helped(deadline, mountPoint, run('umount', words));
  if (second?.exitCode === 0) return;
  if (busy(second))
    throw new CkptfsError('busy', `${mountPoint} is in use`, { path: mountPoint, data: { reason: 'in-use' } });
  if (first === undefined) throw helperMissing();
  throw new CkptfsError('mount-failed', `cannot unmount ${mountPoint}: ${first.errorText}`, { path: mountPoint });
}

async function helped(
  deadline: Deadline,
  path: string,
  outcome: Promise<Outcome | undefined>,
): Promise<Outcome | undefined> {
  const ended = await deadline.wait(outcome.then((value) => ({ value })));
  if (ended !== undefined) return ended.value;
  throw new CkptfsError('no-answer', `cannot unmount ${path}: the helper program did not end in time`, {
    path,
    data: { reason: 'helper' },
  });
}

/** Runs the helper once. @throws CkptfsError `missing-feature` when it is not installed */
export async function checkHelper(): Promise<void> {
  await runHelper(['--version']);
}

function mountFault(mountPoint: string, errorText: string): CkptfsError {
  const message = `cannot mount on ${mountPoint}: ${errorText}`;
  if (/user_allow_other/.test(errorText)) {
    // This is also the answer for allow_root, which ckptfs implements by allow_other and by refusing other users
    // itself.
    return new CkptfsError(
      'missing-feature',
      `cannot mount on ${mountPoint}: /etc/fuse.conf does not let ordinary users mount with allow_other or allow_root`,
      {
        path: '/etc/fuse.conf',
        data: { feature: 'user-allow-other' },
      },
    );
  }
  if (/\/dev\/fuse/.test(errorText) || /device not found/.test(errorText)) {
    const feature = /Permission denied/.test(errorText) ? 'fuse-device-access' : 'fuse-device';
    return new CkptfsError('missing-feature', message, { path: '/dev/fuse', data: { feature } });
  }
  return new CkptfsError('mount-failed', message, { path: mountPoint });
}

async function runHelper(args: readonly string[], socket?: number): Promise<Outcome> {
  const outcome = await runAnyHelper(args, socket);
  if (outcome === undefined) throw helperMissing();
  return outcome;
}

async function runAnyHelper(args: readonly string[], socket?: number): Promise<Outcome | undefined> {
  for (const helper of HELPERS) {
    const outcome = await run(helper, args, socket);
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

function helperMissing(): CkptfsError {
  return new CkptfsError(
    'missing-feature',
    `${HELPERS[0]} is needed to mount as an ordinary user and is not installed`,
    { data: { feature: 'fusermount' } },
  );
}

/** Runs a helper until it ends; undefined when there is no such program. */
function run(helper: string, args: readonly string[], socket?: number): Promise<Outcome | undefined> {
  return new Promise((resolve, reject) => {
    const child = withoutInheritance(() =>
      spawn(helper, args, {
        cwd: '/',
        env: { PATH: `${process.env['PATH'] ?? ''}:${USUAL_PATH}`, LC_ALL: 'C', _FUSE_COMMFD: String(HELPER_SOCKET) },
        stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
      }),
    );
    let errorText = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errorText += text;
    });
    child.on('error', (error) => {
      if (systemErrorName(error) === 'ENOENT') resolve(undefined);
      else
        reject(
          new CkptfsError('missing-feature', `cannot run ${helper}: ${error.message}`, {
            data: { feature: 'fusermount-start' },
            cause: error,
          }),
        );
    });
    child.on('close', (exitCode) => resolve({ exitCode, errorText: reasons(helper, errorText) }));
  });
}

/** Joins the lines that the helper wrote, `fusermount3: reason`, into one line of reasons. */
function reasons(helper: string, text: string): string {
  const lines = text.split('\n').map((line) => line.replace(`${helper}: `, '').trim());
  return lines.filter((line) => line !== '').join('; ') || 'the helper gave no reason';
}
