// Adds up vitest's JSON reports, and names what was skipped. Arguments: 1 if a step before failed, else 0; report files.
// With CI=true a skipped test is a failure, for it would read green and prove nothing; but not where its name says that no
// set-up could make it run (test/system/support/requirements.ts).
import { readFileSync } from 'node:fs';

const [earlier, ...files] = process.argv.slice(2);
const sum = { passed: 0, failed: 0 };
const skipped = [];
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  sum.passed += report.numPassedTests;
  sum.failed += report.numFailedTests;
  if (!report.success && report.numFailedTests === 0) sum.failed += 1;
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const left = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  skipped.push(...left.map(({ fullName }) => fullName));
}
if (earlier !== '0' && sum.failed === 0) sum.failed += 1;
for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
const avoidable = skipped.filter((name) => !name.includes(': cannot run on this machine, '));
const bad = sum.failed > 0 || sum.passed === 0 || (process.env.CI === 'true' && avoidable.length > 0);
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${skipped.length} skipped\n`);
process.exitCode = bad ? 1 : 0;
