import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { hasLibrary } from '../../compression/check-compression.ts';
import { type CryptoProvider, cryptoProvider } from '../../crypto/provider.ts';
import { primitives } from '../../crypto/select.ts';
import { compressionNames } from '../../format/compressions.ts';
import { tryMounting } from '../../serve/launch/mount-trial.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import type { Finding } from '../doctor/check.ts';
import { criuFindings } from '../doctor/criu.ts';
import { tryCriu } from '../doctor/criu-trial.ts';
import { fipsFindings } from '../doctor/fips.ts';
import { thisHost } from '../doctor/host.ts';
import { keyServiceFindings } from '../doctor/key-services.ts';
import { machineFindings } from '../doctor/machine.ts';
import { memoryFindings } from '../doctor/memory.ts';
import { type MountingTrial, mountingFindings } from '../doctor/mounting.ts';
import { programFindings } from '../doctor/programs.ts';
import { randomnessFindings } from '../doctor/randomness.ts';
import { EXIT_OK, exitCodes } from '../exit-codes.ts';
import { withJson } from '../options/options.ts';
import { print, printJson } from '../terminal/output.ts';

/** How long trials may take to remove what they made, which is slow on a busy host. */
const STOP_MILLISECONDS = 60_000;

export const command = defineCommand({
  examples: [
    ['$0 doctor', 'Exit code 0 means: mounting works here'],
    ['$0 doctor --quick --json', 'Without trying a mount and criu; for a program to read'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(yargs).option('quick', {
      type: 'boolean',
      default: false,
      describe: 'Look only: try no mount and no criu',
    }),
  async run({ json, quiet, quick }) {
    const findings = await cancellable(
      'What was tried is gone again.',
      ({ signal, onCancellable }) => {
        onCancellable(true);
        return examine(quick, signal);
      },
      STOP_MILLISECONDS,
    );
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

async function examine(quick: boolean, signal: AbortSignal): Promise<Finding[]> {
  const criuTrial = (program: string) => tryCriu(program, signal);
  const trials = [
    quick ? undefined : mountingTrial(signal),
    criuFindings(thisHost, quick || !thisHost.isRoot ? undefined : criuTrial),
  ] as const;
  // If one fails, the other must still clean up before this process ends.
  await Promise.allSettled(trials);
  const [mounting, criu] = await Promise.all(trials);
  return [
    ...mountingFindings(thisHost, mounting),
    ...memoryFindings(thisHost),
    ...programFindings(
      process.version,
      primitives().name,
      thisHost.program('zstd'),
      compressionNames.filter(hasLibrary),
    ),
    ...fipsFindings(thisHost, providerHere()),
    ...randomnessFindings(thisHost),
    ...keyServiceFindings(thisHost),
    ...criu,
    ...machineFindings(thisHost),
  ];
}

function providerHere(): CryptoProvider | undefined {
  try {
    return cryptoProvider();
  } catch {
    return undefined;
  }
}

/** @throws CkptfsError `interrupted` */
async function mountingTrial(signal: AbortSignal): Promise<MountingTrial> {
  try {
    return await tryMounting(signal);
  } catch (error) {
    if (error instanceof CkptfsError && error.code !== 'interrupted') return { failure: error };
    throw error;
  }
}

function findingText({ level, subject, found, advice }: Finding): string {
  const line = `${level.padEnd(8)} ${subject}: ${printable(found)}\n`;
  return advice === undefined ? line : `${line}         -> ${advice}\n`;
}
