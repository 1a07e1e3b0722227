/** The programs of src/programs, each of which is a process or a thread of its own. */
export type ProgramName =
  | 'ckptfs'
  | 'criu-thread'
  | 'daemon'
  | 'fetcher'
  | 'image-worker'
  | 'key-check'
  | 'lazy-thread'
  | 'mount-trial'
  | 'serving-thread';

/** The folder of the programs, relative to this file; scripts/build.js defines another one for the bundles. */
declare const CKPTFS_PROGRAMS: string | undefined;
const PROGRAMS = typeof CKPTFS_PROGRAMS === 'undefined' ? '../programs/' : CKPTFS_PROGRAMS;

/** Returns the location of a program, to start it as a process or a worker thread. */
export function programUrl(name: ProgramName): URL {
  return new URL(`${PROGRAMS}${name}.js`, import.meta.url);
}
