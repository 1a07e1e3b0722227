import type { Argv } from 'yargs';
import { signImage } from '../../library/signatures.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { CommandLineError } from '../command-line-error.ts';
import { withGivenKeys } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';
import { print, printJson } from '../terminal/output.ts';
import { countOf } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [
    ['$0 sign enc -k k --sign signer.pem', 'After an unmount: a mount never holds a key that signs'],
    ['$0 sign enc -k k --sign signer.pem --sign-cert signer.crt', 'With a certificate, for those who trust its issuer'],
  ],
  options: (yargs: Argv<CommonOptions>) => withJson(withSigningOptions(withImageArguments(yargs))),
  async run(args) {
    if ((args.sign ?? []).length === 0) {
      throw new CommandLineError('no key that signs is given: --sign FILE', { kind: 'usage', command: 'sign' });
    }
    const signed = await withSigners(args, (signers) =>
      withGivenKeys(args, (options) => signImage(args.ENC, options, signers)),
    );
    if (args.json) return printJson(signed);
    if (args.quiet) return;
    await print(`image ${signed.imageId}: seal ${signed.epoch} has ${countOf(signed.signatures, 'signature')}\n`);
  },
});
