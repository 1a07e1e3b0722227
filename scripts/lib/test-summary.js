// Adds up vitest's JSON reports. Arguments: 1 if a step before failed, else 0; report files.
// With CI=true a skipped test is a failure: it would read green and prove nothing.
import { readFileSync } from 'node:fs';

const [earlier, ...files] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  sum.passed += report.numPassedTests;
  sum.failed += report.numFailedTests;
  sum.skipped += report.numPendingTests + report.numTodoTests;
  if (!report.success && report.numFailedTests === 0) sum.failed += 1;
}
if (earlier !== '0' && sum.failed === 0) sum.failed += 1;
const bad = sum.failed > 0 || sum.passed === 0 || (process.env.CI === 'true' && sum.skipped > 0);
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`);
process.exitCode = bad ? 1 : 0;
