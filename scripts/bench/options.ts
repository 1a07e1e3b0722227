import os from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize } from './units.ts';

export const groupNames = [
  'sequential',
  'random',
  'restore',
  'many',
  'start',
  'small-files',
  'small-reads',
  'writing',
  'convert',
  'growth',
  'nodes',
  'processor',
  'tricks',
  'crypto',
] as const;
export type GroupName = (typeof groupNames)[number];

/** The groups that have what the targets for each kind of machine need. */
const targetGroups: readonly GroupName[] = [
  'sequential',
  'random',
  'restore',
  'many',
  'start',
  'small-reads',
  'writing',
];

/** Where results are written. */
export interface Output {
  /** For users: performance.md, and its plots in performance/. */
  readonly documents: string;
  /** For developers: a directory for each kind of machine, with README.md, its plots, and history.jsonl. */
  readonly results: string;
}

export interface Options {
  readonly quick: boolean;
  /** Only what the targets for each kind of machine need is measured. */
  readonly targets: boolean;
  /** Images of four times the size take part as well. */
  readonly full: boolean;
  /** Where another ckptfs is, which is compared with this one. */
  readonly before: string | undefined;
  /** FUSE over io_uring is switched on for the whole machine while the benchmark runs. */
  readonly enableUring: boolean;
  /** Bytes of the large file. */
  readonly size: number;
  readonly rounds: number;
  readonly groups: readonly GroupName[];
  /** The ids of the scenarios to measure, or undefined for all. */
  readonly scenarios: readonly string[] | undefined;
  /** Who takes part, by the names of the tables, or undefined for all. */
  readonly peers: readonly string[] | undefined;
  /** Where a directory for the data is made: on the disk to measure with. */
  readonly directory: string;
  /** Nothing is measured: the pages are written anew from the history. */
  readonly pageOnly: boolean;
  /** Everything is measured at full length: the results may be quoted. */
  readonly whole: boolean;
  /** Where the results are written, or undefined: they are printed only. */
  readonly out: Output | undefined;
}

export const usage = `npm run bench -- [OPTIONS]        as root; installs what it compares with from the distribution's packages

  --quick           small data and 3 rounds, in under 3 minutes; a look, nothing to quote
  --targets         only what the targets need, in under 10 minutes on a quiet machine
  --full            restores and reads four times the size as well
  --before DIR      compares with another ckptfs: a checkout that is built, or where it is installed
  --enable-uring    switches FUSE over io_uring on for the whole machine while it runs, to measure it as well
  --size SIZE       bytes of the large file (1G; with --quick 128M)
  --rounds N        rounds, each of which takes every competitor in turn (5; with --quick 3)
  --only A,B        of ${groupNames.join(', ')}
  --scenarios A,B   only scenarios with these ids
  --peers A,B       only who has these names in the tables: ckptfs, gocryptfs, an earlier ckptfs, …
  --directory DIR   makes its data in DIR (the system's temporary directory)
  --out DIR         writes DIR/performance.md, DIR/performance/ and DIR/results/ instead of docs and scripts/bench/results;
                    without it, a run in part writes nothing
  --record          writes the results of such a run as well to where those of a whole run are written
  --page-only       measures nothing: writes the pages and their plots anew from history.jsonl
`;

function isGroupName(name: string): name is GroupName {
  return groupNames.some((known) => known === name);
}

function positive(text: string, what: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`${what} must be a number from 1 on`);
  return number;
}

/**
 * @param ordinary where a whole run leaves its results
 * @returns undefined when help was asked for
 * @throws TypeError or RangeError for options that make no sense
 */
export function parseOptions(args: readonly string[], ordinary: Output): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      targets: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      before: { type: 'string' },
      'enable-uring': { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      size: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string' },
      scenarios: { type: 'string' },
      peers: { type: 'string' },
      directory: { type: 'string', default: os.tmpdir() },
      out: { type: 'string' },
      'page-only': { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const groups = (values.only?.split(',') ?? (values.targets ? targetGroups : groupNames)).map((name) => {
    if (!isGroupName(name)) throw new RangeError(`--only knows ${groupNames.join(', ')}, not ${name}`);
    return name;
  });
  const { quick, targets, only, scenarios, peers } = values;
  const whole = !quick && !targets && [only, scenarios, peers].every((list) => list === undefined);
  const given = values.out === undefined ? undefined : resolve(values.out);
  return {
    quick: values.quick,
    targets: values.targets,
    full: values.full,
    before: values.before === undefined ? undefined : resolve(values.before),
    enableUring: values['enable-uring'],
    whole,
    size: parseSize(values.size ?? (values.quick ? '128M' : '1G')),
    rounds: positive(values.rounds ?? (values.quick ? '3' : '5'), '--rounds'),
    groups,
    scenarios: scenarios?.split(','),
    peers: peers?.split(','),
    directory: resolve(values.directory),
    pageOnly: values['page-only'],
    out:
      given === undefined
        ? whole || values.record
          ? ordinary
          : undefined
        : { documents: given, results: join(given, 'results') },
  };
}
