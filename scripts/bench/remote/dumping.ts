import { mkdirSync } from 'node:fs';
import { bash, run } from '../../lib/commands.ts';
import { inPlace, markOf, type Place } from './place.ts';
import type { Program } from './programs.ts';
import { type Rounds, rounds } from './rounds.ts';
import type { Site } from './site.ts';

/** The dump of a program, plain, and what a restore of it needs besides. */
export interface Dump {
  readonly program: Program;
  readonly pid: number;
  /** What {@link Program.readAll} said before. */
  readonly contents: string;
  /** criu's images. */
  readonly images: string;
  /** A copy of the program's files. */
  readonly files: string;
  /** `images` as an engine archives it. */
  readonly archive: string;
}

/** Restored processes get their old pids, which no process that restores them must have. */
const FIRST_PID = 1000;

/** What podman makes of the images: it compresses with all processors, at what its library calls the default. */
export const ARCHIVING = 'tar -C "$1" -c . | zstd -q -3 -T0 >"$2"';

/** The bytes that a directory takes, holes left out. */
export async function room(path: string): Promise<number> {
  return Number((await run('du', '--summarize', '--block-size=1', path)).split('\t')[0]);
}

const CRIU_DUMP = 'criu_says dump --tree "$pid" --work-dir "$work" -o dump.log';

/** How a dump of a process that goes on is written, and how much room it takes. The place has $pid, $work and $out. */
interface WayToDump {
  readonly name: string;
  readonly script: string;
}

const archived: WayToDump = {
  name: 'archive',
  script: `mkdir "$out.plain"; mark began
    ${CRIU_DUMP} --leave-running --images-dir "$out.plain"; mark dumped
    archive() { ${ARCHIVING}; }; mkdir "$out"; archive "$out.plain" "$out/archive"; mark complete
    rm -r "$out.plain"`,
};

const plain: WayToDump = {
  name: 'plain',
  script: `mkdir "$out"; mark began
    ${CRIU_DUMP} --leave-running --images-dir "$out"; mark dumped; mark complete`,
};

function encrypted(compress: string): WayToDump {
  return {
    name: compress,
    script: `mkdir "$out.mnt"; mark mounting
      "$ckptfs" mount --write --key-file "$key" --compress ${compress} "$out" "$out.mnt" 2>/dev/null; mark began
      ${CRIU_DUMP} --leave-running --images-dir "$out.mnt"; mark dumped
      "$ckptfs" umount "$out.mnt"; mark complete
      rmdir "$out.mnt"`,
  };
}

export const COMPRESSIONS = ['none', 'auto', 'zstd', 'lz4'] as const;

const waysToDump: readonly WayToDump[] = [plain, archived, ...COMPRESSIONS.map(encrypted)];

/** Seconds from the beginning of a dump to its end, and until it is an archive or a sealed image; bytes it takes. */
export interface DumpFigures {
  readonly dumped: number;
  readonly complete: number;
  readonly size: number;
}

async function start(place: Place, program: Program): Promise<number> {
  const script = `mount -t tmpfs tmpfs "$state"; echo ${FIRST_PID} >/proc/sys/kernel/ns_last_pid; ${program.start}
    echo "$!"`;
  const pid = Number((await place.run(script)).lines.at(-1));
  if (!(pid > FIRST_PID)) throw new Error(`${program.name} has no pid`);
  return pid;
}

/** Starts a program, dumps it in all ways by turns while it goes on, and at last once more, which ends it. */
export async function measureDumps(
  site: Site,
  program: Program,
  count: number,
): Promise<{ dump: Dump; figures: Rounds<DumpFigures> }> {
  const at = (name: string): string => site.in(program.name, name);
  mkdirSync(at('work'), { recursive: true });
  return inPlace(site.variables, async (place) => {
    const pid = await start(place, program);
    const settings = `pid=${pid} work=${at('work')} out=${at('out')};`;
    const read = `set -- "$pid"; ${program.readAll}`;
    const contents = (await place.run(`${settings} ${read}`)).lines.join(' ');
    const figures = await rounds(count, waysToDump, async ({ script }) => {
      const { marks } = await place.run(`${settings} ${script}`);
      const seconds = (name: string): number => markOf(marks, name).time - markOf(marks, 'began').time;
      const size = await room(at('out'));
      await run('rm', '-r', at('out'));
      return { dumped: seconds('dumped'), complete: seconds('complete'), size };
    });
    const copy = `${settings} mkdir "${at('images')}"; ${CRIU_DUMP} --images-dir "${at('images')}"
      cp --archive "$state" "${at('files')}"`;
    await place.run(copy);
    const dump = { program, pid, contents, images: at('images'), files: at('files'), archive: at('archive') };
    await run(...bash(ARCHIVING, dump.images, dump.archive));
    return { dump, figures };
  });
}
