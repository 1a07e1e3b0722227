// Adds up what the steps of scripts/test left in a directory, and names what failed and what was skipped. Every step
// NAME leaves NAME.status (its exit code, or "started" where it did not come to its end) and NAME.log (its output); a
// suite leaves NAME.json as well (vitest's report).
// With CI=true a skipped test is a failure, because it would read green and prove nothing. Exempt are tests whose name
// says that no set-up could make them run (test/system/support/requirements.ts).
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const directory = process.argv[2];
const sum = { passed: 0, failed: 0 };
const failures = [];
const skipped = [];

/** Returns what the step left in a file of this ending, or an empty text. */
function leftBy(step, ending) {
  const path = join(directory, `${step}.${ending}`);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function fail(what, message) {
  sum.failed += 1;
  failures.push(`FAILED: ${what}: ${stripVTControlCharacters(message).trim().split('\n', 1)[0]}`);
}

function addFile(step, { name, status, message, assertionResults: tests }) {
  const file = relative('', name);
  const failed = tests.filter((test) => test.status === 'failed');
  for (const test of failed) fail(`${step}: ${file} > ${test.fullName}`, test.failureMessages[0] ?? '');
  // A hook failed, for example, or the file could not be loaded.
  if (status === 'failed' && failed.length === 0) fail(`${step}: ${file}`, message || 'outside its tests');
  sum.passed += tests.filter((test) => test.status === 'passed').length;
  const left = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
  skipped.push(...left.map(({ fullName }) => fullName));
}

function addReport(step, report) {
  let files;
  try {
    files = JSON.parse(report).testResults;
  } catch (error) {
    fail(step, `its report cannot be read: ${error.message}`);
    return;
  }
  for (const file of files) addFile(step, file);
}

/** Returns what the log tells of a failure that belongs to no file: what vitest says of it, or the end of the log. */
function troubleIn(log, otherwise) {
  const lines = stripVTControlCharacters(log).trimEnd().split('\n');
  const first = lines.findIndex((line) => /^error during close|⎯ (Unhandled|Startup) Error/.test(line));
  return first < 0 ? otherwise(lines) : lines.slice(first, first + 12);
}

function addStep(step) {
  const status = leftBy(step, 'status').trim();
  const before = sum.failed;
  const report = leftBy(step, 'json');
  if (report !== '' || (status === '0' && existsSync(join(directory, `${step}.json`)))) addReport(step, report);
  if (status === '0') return;
  const isNamed = sum.failed > before;
  const trouble = troubleIn(leftBy(step, 'log'), (lines) => (isNamed ? [] : lines.slice(-8)));
  if (isNamed && trouble.length === 0) return;
  fail(step, status === 'started' ? 'did not come to its end' : `ended with code ${status}, outside its tests`);
  failures.push(...trouble.map((line) => `  ${line}`));
}

const steps = readdirSync(directory).filter((name) => name.endsWith('.status'));
for (const name of steps) addStep(name.slice(0, -'.status'.length));
for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
for (const line of failures) process.stdout.write(`${line}\n`);
const avoidable = skipped.filter((name) => !name.includes(': cannot run on this machine, '));
const bad = sum.failed > 0 || sum.passed === 0 || (process.env.CI === 'true' && avoidable.length > 0);
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${skipped.length} skipped\n`);
process.exitCode = bad ? 1 : 0;
