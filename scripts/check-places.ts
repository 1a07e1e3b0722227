// Fails on what has one place in src and is found in another.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What a line shows, the files or folders that may have it, and what to do elsewhere. */
interface Rule {
  readonly pattern: RegExp;
  readonly places: readonly string[];
  readonly instead: string;
}

const RULES: readonly Rule[] = [
  { pattern: /'koffi'/, places: ['base/linux/native.ts'], instead: 'import base/linux/native.ts' },
  {
    pattern: /\bbind\('/,
    places: ['base/linux/', 'crypto/libcrypto'],
    instead: 'bind system calls in base/linux, in the file of their subject',
  },
  {
    pattern: /^(?:export )?const [a-z]\w*(?:: \w+)? = (?:-?\d|['"`])/,
    places: [],
    instead: 'name a number or text that never changes in capitals, with its unit last',
  },
  {
    pattern: /\bAbortSignal\.(?:any|timeout)\(/,
    places: [],
    instead: 'use withinTime of keys/sources/within-time.ts: a timeout that any() alone refers to may be collected',
  },
  { pattern: /import fs from/, places: [], instead: 'import what is used from node:fs by name' },
  {
    pattern: /\.fill\(0(?!.*\/\/ not secret: )/,
    places: ['base/wipe.ts'],
    instead: 'wipe by base/wipe.ts, or say "// not secret: " and why',
  },
];

const source = path.join(import.meta.dirname, '..', 'src');
const faults: string[] = [];
for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue;
  const rules = RULES.filter(({ places }) => !places.some((place) => file.startsWith(place)));
  for (const [index, line] of readFileSync(path.join(source, file), 'utf8').split('\n').entries()) {
    const broken = rules.filter(({ pattern }) => pattern.test(line));
    faults.push(...broken.map(({ instead }) => `src/${file}:${index + 1}: ${line.trim()}: ${instead}`));
  }
}
process.stderr.write(faults.map((fault) => `${fault}\n`).join(''));
process.exitCode = faults.length > 0 ? 1 : 0;
