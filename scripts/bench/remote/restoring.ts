import { mkdirSync } from 'node:fs';
import type { Dump } from './dumping.ts';
import { inPlace, type Mark, markOf } from './place.ts';
import type { Site } from './site.ts';

/**
 * How a dump is restored. The script marks when it `began`, and when the process `runs`. It sees $images, $archive and
 * $encrypted, which are paths or URLs; $here, an empty directory in memory; $cache, a directory for what is fetched.
 */
export interface WayToRestore {
  readonly name: string;
  readonly script: string;
}

/** Where a way finds what it restores. */
export interface Stored {
  readonly images?: string;
  readonly archive?: string;
  readonly encrypted?: string;
  readonly profile?: string;
  /** What was fetched before; otherwise the cache is empty. */
  readonly cache?: string;
}

/** The clock and the network, when a restore began, the process ran, had read all, and had all of its memory. */
export interface RestoreFigures {
  readonly began: Mark;
  /** When an image in a store was mounted. */
  readonly mounted: Mark | undefined;
  readonly runs: Mark;
  readonly read: Mark;
  readonly complete: Mark;
}

const FUNCTIONS = `
  restore() { criu_says restore --restore-detached --images-dir "$1" --work-dir "$work" -o restore.log; mark runs; }
  restore_lazily() {
    mkfifo "$here/serving"
    criu lazy-pages --images-dir "$1" --work-dir "$work" -o lazy-pages.log --status-fd 4 4>"$here/serving" \\
      >/dev/null 2>&1 &
    read -r -t 60 -d '' <"$here/serving"
    criu_says restore --restore-detached --lazy-pages --images-dir "$1" --work-dir "$work" -o restore.log
    mark runs
  }
  mount_image() { "$ckptfs" mount --key-file "$key" "$@" "$here/mnt"; }
  exec_lazily() {
    mkfifo "$here/running"; exec 5<>"$here/running"
    { "$ckptfs" exec --key-file "$key" --lazy-pages "$work" "$@" -- bash -c '
      criu restore --restore-detached --lazy-pages --images-dir "$1" --work-dir "$2" -o restore.log && echo runs >"$3"
      ' bash {} "$work" "$here/running" || echo failed >&5; } &
    read -r line <&5; [ "$line" = runs ]
    mark runs
  }`;

/**
 * Restores in a place of its own, has the program read all that it holds, and kills it.
 * @throws Error unless all is right
 */
export async function restore(site: Site, dump: Dump, way: WayToRestore, stored: Stored): Promise<RestoreFigures> {
  const here = site.in('here');
  mkdirSync(here, { recursive: true });
  const { images = '', archive = '', encrypted = '', profile = '', cache = `${here}/cache` } = stored;
  const variables = { ...site.variables, here, work: `${here}/work`, images, archive, encrypted, profile, cache };
  const script = `
    for path in "$state" "$here"; do mount -t tmpfs tmpfs "$path"; done
    cp --archive "${dump.files}/." "$state"; find "$state" -type s -delete
    mkdir "$here/mnt"; mkdir -m 700 "$work"
    ${FUNCTIONS}
    mark began
    ${way.script}
    set -- ${dump.pid}; ${dump.program.readAll}
    mark read
    wait
    mark complete`;
  return inPlace(variables, async (place) => {
    const { marks, lines } = await place.run(script);
    const found = lines.join(' ');
    if (found !== dump.contents) throw new Error(`it holds ${found}, not ${dump.contents}`);
    const mark = (name: string): Mark => markOf(marks, name);
    return {
      began: mark('began'),
      mounted: marks.get('mounted'),
      runs: mark('runs'),
      read: mark('read'),
      complete: mark('complete'),
    };
  });
}
