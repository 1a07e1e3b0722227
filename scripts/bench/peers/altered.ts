import fs from 'node:fs';
import { join } from 'node:path';

/** One thing that makes ckptfs fast, and how to take it out of what was built. */
export interface Trick {
  /** The competitor that lacks it. */
  readonly without: string;
  /** A file of dist/program, a text in it that occurs once, and what stands there instead. */
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

const reading: readonly Trick[] = [
  {
    without: 'without staying awake',
    file: 'worker-main.js',
    text: 'device.polling!==void 0&&turn.take()',
    instead: 'false',
  },
  {
    without: 'without clones of the device',
    file: 'worker-main.js',
    text: 'waiting:clone(fd,0)??fd,polling:clone(fd,O_NONBLOCK)',
    instead: 'waiting:fd,polling:undefined',
  },
  {
    without: 'with read-ahead as the kernel has it',
    file: 'daemon-main.js',
    text: 'READ_AHEAD_KIBIBYTES=4096',
    instead: 'READ_AHEAD_KIBIBYTES=128',
  },
  {
    without: 'reading by fs.readSync',
    file: 'worker-main.js',
    text: 'function readAt(fd,to,toOffset,length,position){',
    instead:
      'function readAt(fd,to,toOffset,length,position){return require("node:fs").readSync(fd,to.bytes,toOffset,length,position);',
  },
];

const writing: readonly Trick[] = [
  {
    without: 'answering large writes when they are stored',
    file: 'worker-main.js',
    text: 'LEAST_ACCEPTED=65536',
    instead: 'LEAST_ACCEPTED=1/0',
  },
];

const mounting: readonly Trick[] = [
  {
    without: 'starting its daemon when it knows what for',
    file: 'main.js',
    text: 'otherwise=/^-',
    instead: 'otherwise=/|^-',
  },
  {
    without: 'asked for every extended attribute',
    file: 'worker-main.js',
    text: 'if(!this.#hasXattrs)throw',
    instead: 'if(false)throw',
  },
];

/** By what they are for. */
export const tricks = { reading, writing, mounting };

/**
 * Makes a copy of the built command that lacks a trick.
 * @returns its path
 * @throws Error when what is to be taken out is not there, exactly once
 */
export function buildWithout({ without, file, text, instead }: Trick, project: string, directory: string): string {
  const copy = join(directory, without.replaceAll(' ', '-'));
  for (const part of ['bin', 'dist', 'package.json']) {
    fs.cpSync(join(project, part), join(copy, part), { recursive: true });
  }
  fs.symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, 'dist', 'program', file);
  const parts = fs.readFileSync(path, 'utf8').split(text);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times what makes ckptfs "${without}"`);
  fs.writeFileSync(path, parts.join(instead));
  return join(copy, 'bin', 'ckptfs');
}
