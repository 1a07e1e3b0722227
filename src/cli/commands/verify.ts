import type { Argv } from 'yargs';
import { printable, printableName } from '../../base/printable.ts';
import type { AcceptedSignature } from '../../image/signatures/check.ts';
import type { Damage, VerifyReport } from '../../image/verify/verify.ts';
import { checkSignature } from '../../library/signatures.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { refuseJobs } from '../criu/refuse-jobs.ts';
import { reportCriu } from '../criu/verify-report.ts';
import { EXIT_OK, exitCodes } from '../exit-codes.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { withOpenImage } from '../options/image-arguments.ts';
import { type ImageArguments, withImageArguments } from '../options/image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { signatureDemand, withSignatureDemand } from '../options/signature-options.ts';
import { nameJson } from '../terminal/listing.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [
    ['$0 verify enc -k k', 'Exit code 0 means: every byte is what was sealed'],
    ['$0 verify enc --signature-only --trusted signer.crt', 'Who sealed it, without a key'],
    ['$0 verify enc -k k --json', 'All damage, for a program to read'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withJobs(withSignatureDemand(withImageArguments(yargs))))
      .option('strict', {
        type: 'boolean',
        default: false,
        describe: 'Fail also for files in ENC that are no part of the image (exit code 28)',
      })
      .option('signature-only', {
        type: 'boolean',
        default: false,
        describe: 'Verify the signature alone, which takes no key of the image and reads none of its objects',
      }),
  run: (args) => (args.signatureOnly ? verifySignature(args) : verify(args)),
});

const LEFT = 'What was read until then says nothing about the rest.';

type VerifyArguments = Pick<ImageArguments, keyof ImageArguments> & {
  readonly json: boolean;
  readonly jobs: number | undefined;
  readonly strict: boolean;
};

async function verifySignature(args: VerifyArguments): Promise<number> {
  const demand = await signatureDemand({ ...args, requireSignature: true });
  const signed = demand && (await checkSignature(args.ENC, demand, args.imageId));
  if (signed === undefined) return EXIT_OK;
  const { manifestDigest: _, ...facts } = signed;
  if (args.json) await printJson(facts);
  else if (!args.quiet) await print(`${signatureText(signed)}\n`);
  return EXIT_OK;
}

function signatureText({ epoch, replaces, title, signer, algorithm, signedAt }: AcceptedSignature): string {
  const lines = [`signed: seal ${epoch}, by ${printable(title)} (${algorithm}, ${signer}), at ${signedAt}`];
  if (replaces.length > 0) lines.push(`in the place of ${replaces.map((id) => `image ${id}`).join(', ')}`);
  return lines.join('\n');
}

function verify(args: VerifyArguments): Promise<number> {
  return withOpenImage(args, async (image) => {
    const bar = progressBar('verifying', args.quiet);
    if (image.format === 'criu') {
      refuseJobs(args.jobs);
      const found = await cancellable(LEFT, (cancellation) =>
        image.verify({ onProgress: bar.update, ...cancellation }),
      ).finally(bar.end);
      return reportCriu(image.imageId, found, args);
    }
    const options = { ...omitUndefined({ jobs: args.jobs }), onProgress: bar.update };
    const report = await cancellable(LEFT, (cancellation) => image.verify({ ...options, ...cancellation })).finally(
      bar.end,
    );
    if (args.json) await printJson(reportJson(image.imageId, report));
    else await print(reportText(report, args.quiet));
    if (!args.quiet || args.strict) await warnOfUnexpected(report);
    if (report.damage.length > 0) return exitCodes.damaged;
    return args.strict && report.unexpected.length > 0 ? exitCodes['unexpected-files'] : EXIT_OK;
  });
}

function reportText({ damage, objects, chunks }: VerifyReport, quiet: boolean): string {
  const lines = damage.map((fault) => `${damageLine(fault)}\n`);
  const amount = `${countOf(objects, 'object')}, ${countOf(chunks, 'chunk')}`;
  const summary =
    damage.length === 0 ? `intact: ${amount}\n` : `damaged: ${countOf(damage.length, 'fault')} in ${amount}\n`;
  return lines.join('') + (quiet ? '' : summary);
}

async function warnOfUnexpected({ unexpected }: VerifyReport): Promise<void> {
  for (const path of unexpected) await warn(`unexpected file, no part of the image: ${path}`);
}

function damageLine({ file, object, chunk, reason }: Damage): string {
  const where = `${file === undefined ? '' : `${printableName(file)}: `}object ${printable(object)}`;
  return `${where}${chunk === undefined ? '' : `, chunk ${chunk}`}: ${printable(reason)}`;
}

function reportJson(imageId: string, { damage, objects, chunks, unexpected }: VerifyReport): unknown {
  const faults = damage.map(({ file, ...rest }) => ({
    ...(file === undefined ? {} : nameJson('file', file)),
    ...rest,
  }));
  return { imageId, intact: damage.length === 0, objects, chunks, damage: faults, unexpected };
}
