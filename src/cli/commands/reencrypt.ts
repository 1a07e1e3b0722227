import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { type ReencryptedImage, reencryptImage } from '../../library/reencrypt.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { openedBy, warnAbout, withKeys } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withRecipientOptions } from '../options/key-options.ts';
import { withNewImageOptions } from '../options/new-image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { signatureDemand, withSignatureDemand } from '../options/signature-options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [
    ['$0 reencrypt enc -k k -r file:new.key', 'In place; after an interruption run it again'],
    ['$0 reencrypt enc new -k k -r host.crt', 'Into a new directory, for a certificate; enc stays'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(
      withJobs(
        withNewImageOptions(withSigningOptions(withRecipientOptions(withSignatureDemand(withImageArguments(yargs))))),
      ),
    )
      .positional('DST', {
        type: 'string',
        describe: 'Directory for the new image, which otherwise takes the place of ENC',
      })
      .option('retire', {
        type: 'boolean',
        default: false,
        describe: 'With DST: let hosts that have seen the new image, signed, refuse ENC (--epoch-file), as in place',
      }),
  run: (args) =>
    withSigners(args, (signers) =>
      withKeys(args, async (keys) => {
        await warnAbout(keys, args);
        const recipients = keys.newRecipients;
        const signature = await signatureDemand(args);
        const bars = [progressBar('re-encrypting', args.quiet), progressBar('verifying', args.quiet)] as const;
        const left = `${args.ENC} is as it was; run the same command again to go on.`;
        const result = await cancellable(left, (cancellation) =>
          reencryptImage(args.ENC, {
            ...openedBy(keys),
            // What the new image gets. An image that a policy forbids is read, so that it can be taken away from that.
            admit: (old) => keys.admit({ suite: args.suite ?? old.suite, cipher: args.cipher ?? old.cipher }),
            imageId: args.imageId,
            recipients,
            signature,
            signers,
            retire: args.retire,
            ...omitUndefined({
              destination: args.DST,
              suite: args.suite,
              cipher: args.cipher,
              chunkSize: args.chunkSize,
              compression: args.compress,
              jobs: args.jobs,
            }),
            onProgress: bars[0].update,
            onVerifyProgress: bars[1].update,
            ...cancellation,
          }),
        ).finally(() => {
          for (const bar of bars) bar.end();
        });
        await report(result, args);
      }),
    ),
});

interface ReportArguments extends CommonOptions {
  readonly ENC: string;
  readonly DST?: string | undefined;
  readonly json: boolean;
}

async function report(result: ReencryptedImage, { ENC, DST, json, quiet }: ReportArguments): Promise<void> {
  const { imageId, previousImageId, contents, oldImage } = result;
  const isLeft = DST === undefined && oldImage !== undefined;
  if (isLeft && !quiet) {
    await warn(`image ${previousImageId} is still read, and stays in ${oldImage}; run the same command again later`);
  }
  if (json) {
    await printJson({
      imageId,
      previousImageId,
      ...(contents === undefined ? {} : { files: contents.files, fileBytes: contents.bytes }),
      location: DST ?? ENC,
      oldImage: oldImage ?? null,
    });
    return;
  }
  if (quiet) return;
  const amount =
    contents === undefined ? 'done before' : `${countOf(contents.files, 'file')}, ${formatBytes(contents.bytes)}`;
  const old = oldImage === undefined ? 'is removed' : `is in ${printable(oldImage)}`;
  await print(
    `image ${imageId}: ${amount}, under a new key, in ${printable(DST ?? ENC)}\n` +
      `image ${previousImageId}: the old one ${old}; every copy of it still opens with the old keys\n` +
      'Removing a key slot would not have done this: who has had the image key can read what it encrypted.\n',
  );
}
