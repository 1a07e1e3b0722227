// Fails on comments and documents wider than 120 columns, on phrases that a newcomer has to decode, and on documents that
// name a file which does not exist. The formatter sees to code; tables, code blocks and links of Markdown may be
// wider.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const MAX_COLUMNS = 120;

/** A phrase, and what to write in its place. */
const PHRASES: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(?:that|which) (?:is|are) none\b/, 'what is missing: "no inode 9"'],
  [/(?<!-|left |leave |leaves )\bbehind\b(?! =|\))/i, '"after", "past the end of" or "following"'],
  [/\b(?:some|any)body\b|\bnobody (?!to|of|\W)\w/i, 'the actor: the caller, another process, no process'],
  [/\bwho(?:m)?ever\b/i, 'the actor: the caller, a process that …'],
  [/\bas it stands\b|\b(?:stands?|lies?) (?:there|in|at|on|before|after)\b/, '"is"'],
  [/\/\*\* (?:The same|As \{@link|Of |Their )/, 'a verb first, or "Like {@link x}, but …"'],
  [/\bof one is of all\b/i, 'a full sentence'],
  [/@throws CkptfsError (?!`)/, 'the code in backticks: CkptfsError `io`'],
];

const root = path.join(import.meta.dirname, '..');

/** Leaves out frozen data, and this file, which names the phrases. */
function isProse(file: string): boolean {
  return (
    (/\.(?:ts|js|mjs|sh|md|c|h|py|java|1|service)$/.test(file) ||
      /^(?:scripts|bin|\.ci)\/(?:[^.]*\/)?[^./]+$/.test(file)) &&
    !/^test\/(?:vectors|images)\/|check-prose\.ts$/.test(file)
  );
}

function isComment(line: string): boolean {
  return /^\s*(?:\/\/|\/\*|\*|#(?!!))/.test(line);
}

/** Whether a Markdown line may be wide: a table row, a line of a code block, or one unbroken link. */
function mayBeWide(line: string): boolean {
  return /^(?:\s*\||\s{4}|\s*\S+$)/.test(line);
}

/** The folders below the root that a document may leave out of a path. */
const PLACES = ['', 'src', 'test', 'scripts'];

/**
 * Returns the files that a line of a document names by a path and that do not exist. Tests may be named without `test`
 * and `.test.ts`.
 */
function missingFiles(document: string, line: string): string[] {
  const places = [path.dirname(document), ...PLACES];
  const named = [...line.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|js|mjs|sh|py|c|md))`/g)].map(([, name = '']) => name);
  const tests = [...line.matchAll(/`((?:system|unit)\/[\w/-]+)`/g)].map(([, name = '']) => `test/${name}.test.ts`);
  return [...named, ...tests].filter((name) => !places.some((at) => fs.existsSync(path.join(root, at, name))));
}

function findingsIn(file: string): string[] {
  const isMarkdown = file.endsWith('.md');
  const isHistory = file === 'CHANGELOG.md';
  const lines = fs.readFileSync(path.join(root, file), 'utf8').split('\n');
  let isCode = false;
  return lines.flatMap((line, index) => {
    if (isMarkdown && /^\s*```/.test(line)) isCode = !isCode;
    if (isMarkdown && isCode) return [];
    const place = `${file}:${index + 1}`;
    const isWide = [...line].length > MAX_COLUMNS && (isMarkdown ? !mayBeWide(line) : isComment(line));
    const found = PHRASES.flatMap(([pattern, instead]) => {
      const [phrase] = pattern.exec(line) ?? [];
      return phrase === undefined ? [] : [`${place}: "${phrase}": write ${instead}`];
    });
    const missing = isMarkdown && !isHistory ? missingFiles(file, line) : [];
    found.push(...missing.map((name) => `${place}: there is no ${name}`));
    return isWide ? [`${place}: wider than ${MAX_COLUMNS} columns`, ...found] : found;
  });
}

const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
const files = listed.split('\n').filter((file) => isProse(file) && fs.existsSync(path.join(root, file)));
const findings = files.flatMap(findingsIn);
process.stderr.write(findings.map((finding) => `${finding}\n`).join(''));
process.exitCode = findings.length > 0 ? 1 : 0;
