import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { unmountImage } from '../../serve/control/umount.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { type ContainerState, readContainerState } from '../hooks/container-state.ts';
import { checkSeen } from '../hooks/container-view.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { type MountArguments, mountRequest, withBackgroundMountArguments } from '../options/mount-arguments.ts';
import { warn } from '../terminal/output.ts';
import { mountAndReport } from './mount.ts';

export const command = defineCommand({
  examples: [
    [
      '$0 run-hook createRuntime enc mnt -k k --write < state.json',
      'A runtime writes the state: mount a volume for it',
    ],
    ['$0 run-hook poststop enc mnt < state.json', 'When it has ended: unmount, seal, wipe the keys'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withBackgroundMountArguments(
      yargs.positional('HOOK', {
        choices: ['createRuntime', 'poststop'] as const,
        demandOption: true,
        describe: 'The hook that the runtime runs this as',
      }),
    ),
  async run(args) {
    const state = await readContainerState();
    return args.HOOK === 'createRuntime' ? mountFor(state, args) : endFor(state, args);
  },
});

/**
 * Mounts for a container, or leaves nothing mounted. What an earlier try of it left there is taken away first, unless
 * it is in use: another runtime may have a container with this id, which would go on in the directory below.
 */
async function mountFor(state: ContainerState, args: MountArguments): Promise<void> {
  const { mount, ...request } = await mountRequest(args);
  // Mount tables show the memory, and not the image.
  if (mount.scratch) throw new CkptfsError('bad-argument', 'the volume of a container has no --scratch');
  await unmountOf(state, args).catch(passUnsealed);
  const source = sourceFor(state);
  const fuseOptions = [...(mount.fuseOptions ?? []), `fsname=${source}`];
  const mounted = await mountAndReport(
    { ...args, foreground: false, json: false },
    { ...request, mount: { ...mount, fuseOptions, ...omitUndefined({ endWithProcess: state.pid }) } },
  );
  if (mounted === undefined) return;
  try {
    checkSeen(mounted.mountPoint, state);
  } catch (error) {
    await mounted.unmount({ lazy: true });
    throw error;
  }
}

/** An image that a killed daemon left unsealed can be written on; a mount that only reads it says that itself. */
function passUnsealed(error: unknown): void {
  if (!(error instanceof CkptfsError) || error.code !== 'unsealed') throw error;
}

/** Unmounts what was mounted for a container that has ended, at once, whatever else still uses it. */
async function endFor(state: ContainerState, args: MountArguments): Promise<void> {
  try {
    await unmountOf(state, args);
  } catch (error) {
    if (!(error instanceof CkptfsError) || error.code !== 'busy' || error.data?.reason !== 'in-use') throw error;
    await unmountOf(state, args, true);
    await warn(`${error.message}; it is out of sight now, and its keys are wiped when that ends`);
  }
}

/**
 * Unmounts what was mounted for a container. Another container's mount in its place is left alone: the runtime runs
 * this hook as well when it could not create the container, because the place was taken.
 */
async function unmountOf(
  state: ContainerState,
  { ENC: image, MNT: mountPoint }: Pick<MountArguments, 'ENC' | 'MNT'>,
  lazy = false,
): Promise<void> {
  try {
    await unmountImage(mountPoint, { source: sourceFor(state), lazy });
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    if (error.code === 'not-mounted') return;
    if (error.code !== 'unsealed' || error.data?.reason !== 'daemon-killed') throw error;
    // Mount tables do not have the path of the image.
    const data = { reason: 'daemon-killed', source: image } as const;
    throw new CkptfsError('unsealed', error.message, { path: image, data, cause: error });
  }
}

/** Returns what mount tables show as the source of a container's mount. */
function sourceFor({ id }: ContainerState): string {
  return `container:${id}`;
}
