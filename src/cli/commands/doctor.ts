import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { primitives } from '../../crypto/select.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import type { Finding } from '../doctor/check.ts';
import { thisHost } from '../doctor/host.ts';
import { memoryFindings } from '../doctor/memory.ts';
import { mountingFindings } from '../doctor/mounting.ts';
import { programFindings } from '../doctor/programs.ts';
import { EXIT_OK, exitCodes } from '../exit-codes.ts';
import { withJson } from '../options.ts';
import { print, printJson } from '../output.ts';

export const command = defineCommand({
  examples: [['$0 doctor', 'Exit code 0 means: mounting works here']],
  options: (yargs: Argv<CommonOptions>) => withJson(yargs),
  async run({ json, quiet }) {
    const findings = [
      ...mountingFindings(thisHost),
      ...memoryFindings(thisHost),
      ...programFindings(thisHost, process.version, primitives().name),
    ];
    if (json) await printJson(findings);
    else
      await print(
        findings
          .filter(({ level }) => !quiet || level !== 'ok')
          .map(findingText)
          .join(''),
      );
    return findings.some(({ level }) => level === 'missing') ? exitCodes['missing-feature'] : EXIT_OK;
  },
});

function findingText({ level, subject, found, advice }: Finding): string {
  const line = `${level.padEnd(8)} ${subject}: ${printable(found)}\n`;
  return advice === undefined ? line : `${line}         -> ${advice}\n`;
}
