import { setImmediate } from 'node:timers/promises';
import { Random } from '../fuzz/random.ts';
import type { WritableMount } from '../support/writable-mount.ts';
import { ShortTransfer, Workload } from './workload.ts';

export interface FsxOptions {
  readonly seed: number;
  readonly operations: number;
  /** On average, between two unmounts, which seal the image. */
  readonly operationsPerSeal: number;
  /** On average, between two kills of the daemon. */
  readonly operationsPerKill: number;
  /** Told now and then how many operations were done. */
  readonly onProgress?: (done: number) => void;
}

/** How often each thing was done. */
export type FsxReport = Readonly<Record<string, number>>;

/** What may be done with an image whose writer was killed, before it is written again. */
const waysOn: readonly (readonly ('seal' | 'recover' | 'verify')[])[] = [[], ['recover'], ['seal', 'verify']];
/** Milliseconds in which a command that takes up a killed writer's image mostly has. */
const COMMAND_TIME = 500;
const SEALING_TIME = 60;
const STEPS_TIME = 20;

/**
 * Random operations on a writable mount, with seals and kills in between: the same for the same seed, but for the
 * moments of those kills that come while an operation is under way. The image is mounted at the beginning, and sealed
 * at the end.
 *
 * @throws Error with the seed and the number of the operation at which the mount did not what the model did
 */
export async function runFsx(mount: WritableMount, options: FsxOptions): Promise<FsxReport> {
  const { seed, operations, operationsPerSeal, operationsPerKill, onProgress } = options;
  const report: Record<string, number> = {};
  const count = (what: string): void => {
    report[what] = (report[what] ?? 0) + 1;
  };
  const workload = new Workload(mount.mountPoint);
  let dying = false;

  const goOn = (random: Random): void => {
    dying = false;
    if (random.chance(3)) mount.runKilled(random.pick(['seal', 'recover', 'mount']), random.below(COMMAND_TIME));
    const commands = random.pick(waysOn);
    for (const command of commands) {
      const said = mount.run(command, '--json');
      // The system has everything that the daemon wrote: only what no caller was told of may be missing.
      if (command === 'recover' && JSON.parse(said).dropped !== null) throw new Error(`recover said: ${said}`);
    }
    mount.mount();
    workload.compareKilled();
    count(`after a kill: ${commands[0] ?? 'mount'}`);
  };

  const seal = (random: Random): void => {
    workload.settle();
    if (random.chance(3)) {
      mount.killSealing(random.below(SEALING_TIME));
      count('kill while sealing');
      goOn(random);
      return;
    }
    mount.unmount();
    if (random.chance(4)) mount.run('verify');
    mount.mount();
    workload.compare();
    count('seal');
  };

  const kill = (random: Random): void => {
    if (random.chance(2)) {
      mount.kill();
      count('kill');
      goOn(random);
      return;
    }
    mount.killAfter(random.below(STEPS_TIME));
    count('kill while working');
    dying = true;
  };

  const act = (random: Random): void => {
    if (!dying && random.chance(operationsPerSeal)) seal(random);
    else if (!dying && random.chance(operationsPerKill)) kill(random);
    else count(workload.step(random));
  };

  for (let index = 0; index < operations; index++) {
    const random = new Random(seed, index);
    try {
      act(random);
    } catch (error) {
      if (!dying || !isFailure(error))
        throw new Error(`seed ${seed}, operation ${index}: ${String(error)}`, { cause: error });
      mount.clear();
      try {
        goOn(random);
      } catch (fault) {
        throw new Error(`seed ${seed}, operation ${index}, killed: ${String(fault)}`, { cause: fault });
      }
    }
    if (index % 500 === 0) {
      onProgress?.(index);
      await setImmediate();
    }
  }
  if (dying) {
    mount.clear();
    goOn(new Random(seed, operations));
  }
  workload.settle();
  mount.unmount();
  mount.run('verify');
  return report;
}

/** What a mount gives whose daemon is gone, and not something else than what should be there. */
function isFailure(error: unknown): boolean {
  return error instanceof ShortTransfer || (error instanceof Error && 'syscall' in error);
}
