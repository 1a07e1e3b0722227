import { inspectCriu } from '../../library/inspect-criu.ts';
import { unsigned } from '../../library/open-readable.ts';
import { ifUnlocked } from '../if-unlocked.ts';
import { withOpenImage } from '../options/image-arguments.ts';
import type { ImageArguments } from '../options/image-options.ts';
import { signatureDemand } from '../options/signature-options.ts';
import { contentsRows } from '../terminal/contents-rows.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';

/** Prints what a directory is that CRIU encrypted, and with its key what is in it. */
export async function criuInfo(args: ImageArguments & { readonly json: boolean }): Promise<void> {
  if ((await signatureDemand(args)) !== undefined) throw unsigned(args.ENC);
  const { imageId, layers } = inspectCriu(args.ENC, args.imageId);
  const inside = await ifUnlocked(() =>
    withOpenImage(args, async (image) =>
      image.format === 'criu' ? { ...image.describe(), damaged: image.problems.length } : undefined,
    ),
  );
  if (args.json) {
    return printJson({
      format: 'criu',
      imageId,
      layers,
      ...inside,
      authenticated: false,
      decrypted: inside !== undefined,
    });
  }
  const rows = [
    ['encrypted by', 'criu dump --encrypt; not an image of ckptfs'],
    ['known as', imageId],
    ['cipher', 'chacha20-poly1305; memory aes-256-xts without tags'],
    ['encrypted directories', `${layers}`],
    ...(inside === undefined ? [] : contentsRows(inside)),
    ...(inside === undefined || inside.damaged === 0 ? [] : [['not readable', `${inside.damaged} files`]]),
  ];
  await print(table(rows));
}
