import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { ReadMember } from '../../support/archives.ts';
import { PATIENCE } from './patience.ts';
import { runProgram } from './programs.ts';
import { toolEnvironment } from './requirements.ts';

/** A member as any program shows it. Names and targets are bytes as latin1, without "/" at the end. */
export interface Listed {
  readonly name: string;
  readonly type: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file with its holes; 0 for anything else. */
  readonly size: number;
  /** Its mtime, without the fraction. */
  readonly seconds: number;
  readonly target: string;
  /** SHA-256 of the contents of a file in hexadecimal digits; empty for anything else. */
  readonly digest: string;
}

/** What a program shows of a member. Not every one shows all. */
export type PartlyListed = Partial<Listed> & Pick<Listed, 'name'>;

const script = fileURLToPath(new URL('read_tar.py', import.meta.url));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** Programs show "." and empty parts of names, or leave them out. */
const bare = (name: string): string =>
  name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');

/** Returns what our reader finds. */
export function listedByUs(members: readonly ReadMember[]): Listed[] {
  return members.map(({ name, type, mode, uid, gid, size, mtime, target, ranges, stored }) => {
    const contents = Buffer.alloc(size);
    let from = 0;
    for (const { start, length } of ranges) {
      stored.copy(contents, start, from, from + length);
      from += length;
    }
    const metadata = { name: bare(name.toString('latin1')), type, mode, uid, gid, size, seconds: mtime.seconds };
    return {
      ...metadata,
      target: type === 'link' || type === 'symlink' ? target.toString('latin1') : '',
      digest: type === 'file' ? sha256(contents) : '',
    };
  });
}

/** By tarfile of Python. @returns for each archive its members, or undefined if it is refused */
export function listedByPython(archives: readonly string[]): (Listed[] | undefined)[] {
  const { stdout } = spawnSync('python3', [script], {
    input: archives.map((archive) => `${archive}\n`).join(''),
    encoding: 'utf8',
    env: toolEnvironment,
    timeout: PATIENCE,
    maxBuffer: 256 << 20,
  });
  const lists = linesOf(stdout).map((line) => JSON.parse(line) as Listed[] | null);
  return lists.map((list) => list?.map((member) => ({ ...member, name: bare(member.name) })));
}

const LINE = /^(.)(.{9}) (\d+)\/(\d+) +(?:\d+,)?(\d+) (\S+ [\d:]+)(?:\.\d+)? +(.*?)(?: (?:->|link to) (.*))?$/;
/** By the letters of a list. */
const TYPES: Readonly<Record<string, string>> = {
  '-': 'file',
  C: 'file',
  h: 'link',
  l: 'symlink',
  d: 'directory',
  p: 'fifo',
  c: 'device',
  b: 'device',
};

/** By GNU tar. @throws Error when it refuses the archive */
export function listedByGnuTar(archive: string): PartlyListed[] {
  const options = ['--numeric-owner', '--full-time', '--quoting-style=c', '--utc'];
  return linesOf(runProgram('env', 'LC_ALL=C', 'tar', '--list', '-vv', ...options, '-f', archive)).map((line) => {
    const { name, target, ...rest } = parsedLine(line);
    return { ...rest, name: bare(unquoted(name)), target: unquoted(target) };
  });
}

/** By busybox, which knows no extended headers. @throws Error when it refuses the archive */
export function listedByBusybox(archive: string): PartlyListed[] {
  const text = runProgram('env', 'TZ=UTC', 'busybox', 'tar', '-tvf', archive);
  return linesOf(text).map((line) => {
    const { type, name, ...rest } = parsedLine(line);
    const isLink = type === 'file' && rest.target !== '';
    return { ...rest, name: bare(name), type: isLink ? 'link' : type };
  });
}

function parsedLine(line: string): Omit<Listed, 'digest'> {
  const [, flag = '', permissions = '', uid, gid, size, time, name = '', target = ''] = LINE.exec(line) ?? [];
  const type = TYPES[flag] ?? `unknown: ${line}`;
  const numbers = { mode: modeOf(permissions), uid: Number(uid), gid: Number(gid) };
  const seconds = Date.parse(`${time?.replace(' ', 'T')}Z`) / 1000;
  return { name, type, ...numbers, size: type === 'file' ? Number(size) : 0, seconds, target };
}

/** Reads `rwsr-xr-t`. */
function modeOf(permissions: string): number {
  const bits = [...permissions].map((letter, at) => (/[-ST]/.test(letter) ? 0 : 0o400 >> at));
  const special = [2, 5, 8].map((at, index) => (/[sStT]/.test(permissions[at] ?? '') ? 0o4000 >> index : 0));
  return [...bits, ...special].reduce((sum, bit) => sum + bit, 0);
}

function unquoted(text: string): string {
  return text
    .replace(/^"|"$/g, '')
    .replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code),
    );
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

const MTREE_TYPES: Readonly<Record<string, string>> = {
  file: 'file',
  dir: 'directory',
  link: 'symlink',
  fifo: 'fifo',
  char: 'device',
  block: 'device',
};

/** By libarchive, in an order of its own. @throws Error when it refuses the archive */
export function listedByLibarchive(archive: string): PartlyListed[] {
  const options = '--options=mtree:sha256';
  const lines = linesOf(runProgram('bsdtar', '-cf', '-', '--format=mtree', options, `@${archive}`)).slice(1);
  return lines.map((line) => {
    const [name = '', ...words] = line.split(' ');
    const of = Object.fromEntries(words.map((word) => word.split('=') as [string, string]));
    const type = MTREE_TYPES[of['type'] ?? ''] ?? '';
    return {
      name: bare(unquoted(name)),
      type,
      mode: Number.parseInt(of['mode'] ?? '', 8),
      uid: Number(of['uid']),
      gid: Number(of['gid']),
      size: Number(of['size'] ?? 0),
      seconds: Math.floor(Number(of['time'])),
      ...(type === 'symlink' ? { target: unquoted(of['link'] ?? '') } : {}),
      ...(of['sha256digest'] ? { digest: of['sha256digest'] } : {}),
    };
  });
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
