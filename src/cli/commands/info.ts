import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import type { DescribedSignature, ImageInside, ImageOutside } from '../../image/read/describe.ts';
import { inspectImage } from '../../library/encrypted-image.ts';
import { isCriuDirectory } from '../../library/open-readable.ts';
import { checkSignature } from '../../library/signatures.ts';
import { authenticateImage } from '../../library/unlock.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { ifUnlocked } from '../if-unlocked.ts';
import { withGivenKeys, withOpenImage } from '../options/image-arguments.ts';
import { type ImageArguments, withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { signatureDemand, withSignatureDemand } from '../options/signature-options.ts';
import { contentsRows } from '../terminal/contents-rows.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';
import { formatBytes } from '../terminal/quantities.ts';

/** The longest name of an algorithm that is shown: anyone who has the storage can write it. */
const MAX_ALGORITHM = 40;

export const command = defineCommand({
  examples: [
    ['$0 info enc', 'What can be seen without the key'],
    ['$0 info enc -k k', 'What can be seen with it'],
  ],
  options: (yargs: Argv<CommonOptions>) => withJson(withSignatureDemand(withImageArguments(yargs))),
  async run(args) {
    if (isCriuDirectory(args.ENC)) return (await import('../criu/info.ts')).criuInfo(args);
    const outside = inspectImage(args.ENC, args.imageId);
    const demand = await signatureDemand(args);
    if (demand !== undefined) await checkSignature(args.ENC, demand, args.imageId);
    const inside = await ifUnlocked(() => insideOf(args, outside));
    if (args.json) return printJson({ ...outside, ...inside, authenticated: inside !== undefined });
    await print(table([...outsideRows(outside), ...(inside === undefined ? [] : insideRows(inside))]));
  },
});

/** Returns what the key shows: nothing of an image that is not sealed. A wrong key is an error there as well. */
async function insideOf(args: ImageArguments, { sealed }: ImageOutside): Promise<Partial<ImageInside>> {
  if (sealed) return withOpenImage(args, async (image) => (image.format === 'ckptfs' ? image.describe() : {}));
  await withGivenKeys(args, (options) => authenticateImage(args.ENC, options));
  return {};
}

function outsideRows(image: ImageOutside): string[][] {
  const slots = image.slots.map((slot) => printable(slot.replace(/\s+/g, ' '), MAX_ALGORITHM)).join(', ');
  return [
    ['image', image.imageId],
    ['format', `version ${image.formatVersion}`],
    ['suite', image.suite],
    ['cipher', image.cipher],
    ['chunk size', formatBytes(image.chunkSize)],
    ...(image.compression === undefined ? [] : [['compression', image.compression]]),
    ...(image.replaces ?? []).map((id) => ['in the place of', id]),
    ['key slots', `${image.slots.length} (${slots})`],
    ...image.signatures.map((one) => ['signature', signatureText(one)]),
    ['objects', `${image.objects}`],
    ['stored size', formatBytes(image.storedBytes)],
    ...(image.sealed ? [] : [['sealed', 'no: it is being written, or writing it was interrupted']]),
  ];
}

function signatureText({ algorithm, signer, subject, signedAt }: DescribedSignature): string {
  const who = subject === undefined ? signer : `${signer}, ${subject}`;
  return `${algorithm} at ${signedAt} by ${who}; see "ckptfs verify --signature-only"`;
}

function insideRows(inside: Partial<ImageInside>): string[][] {
  if (!isOfSealed(inside)) return [['authenticated', 'its header; contents are when it is sealed']];
  const { epoch, overhead } = inside;
  return [
    ['sealed', `epoch ${epoch}; header and manifest authenticated`],
    ...contentsRows(inside),
    ['overhead', overhead === undefined ? 'none: no data' : `${(overhead * 100).toFixed(2)} %`],
  ];
}

function isOfSealed(inside: Partial<ImageInside>): inside is ImageInside {
  return inside.epoch !== undefined;
}
