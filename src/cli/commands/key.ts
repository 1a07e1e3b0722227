import type { ArgumentsCamelCase, Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { dropImageKey, keepImageKey } from '../../library/kept-key.ts';
import {
  addKeySlots,
  type KeySlots,
  type ListedSlot,
  labelKeySlot,
  listKeySlots,
  removeKeySlot,
  replaceKeySlot,
} from '../../library/key-slots.ts';
import type { OpenOptions } from '../../library/unlock.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import type { HeldKeys } from '../options/held-keys.ts';
import { openedBy, warnAbout, withKeys } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withRecipientOptions } from '../options/key-options.ts';
import { durationFrom, withJson } from '../options/options.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';
import { countOf } from '../terminal/quantities.ts';

const actions = ['list', 'add', 'remove', 'replace', 'label', 'cache', 'drop'] as const;

export const command = defineCommand({
  examples: [
    ['$0 key list enc', 'Who can open it; no key is needed'],
    ['$0 key add enc -k k -r host.crt --label host2', 'For one more host'],
    ['$0 key remove enc host -k k', 'By its label, its number or its thumbprint'],
    ['$0 key label enc 1 "night shift" -k k', 'Without the key of that slot'],
    ['$0 key cache enc -k k --ttl 8h', 'The kernel keeps its key for 8 hours, so that no other is needed'],
    ['$0 key drop enc', 'No more'],
  ],
  options,
  async run(args) {
    checkWords(args);
    if (args.ACTION === 'cache') return cache(args);
    if (args.ACTION === 'drop') return drop(args);
    const isList = args.ACTION === 'list';
    const slots = isList ? listKeySlots(args.ENC, args.imageId) : await change(args);
    if (args.json) await printJson(slots);
    else if (isList || !args.quiet) await print(listing(slots));
  },
});

type Arguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

function options(yargs: Argv<CommonOptions>) {
  return withJson(withRecipientOptions(withImageArguments(yargs)))
    .option('ttl', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => durationFrom('--ttl', text),
      describe: 'cache: how long the kernel keeps the key, such as 8h, 30m or 90s',
    })
    .positional('ACTION', { type: 'string', choices: actions, demandOption: true, describe: 'What to do' })
    .positional('SLOT', {
      type: 'string',
      describe: 'remove, replace, label: number, label or thumbprint of a key slot',
    })
    .positional('LABEL', { type: 'string', describe: 'label: what the slot is called then, nothing without this' });
}

/** Refuses words that are missing, or that the action has no use for. @throws CkptfsError `bad-argument` */
function checkWords({ ACTION, SLOT, LABEL, recipient, label, ttl }: Arguments): void {
  const problem = (text: string): CkptfsError => new CkptfsError('bad-argument', `key ${ACTION}: ${text}`);
  const needsSlot = ACTION === 'remove' || ACTION === 'replace' || ACTION === 'label';
  if (needsSlot && SLOT === undefined) throw problem('no key slot is named');
  if (!needsSlot && SLOT !== undefined) throw problem(`${SLOT} is not expected`);
  if (ACTION !== 'label' && LABEL !== undefined) throw problem(`${LABEL} is not expected`);
  const makesSlots = ACTION === 'add' || ACTION === 'replace';
  if (!makesSlots && recipient !== undefined) throw problem('--recipient is for add and replace');
  if (!makesSlots && label !== undefined) throw problem('--label is for add and replace');
  if (ACTION === 'cache' && ttl === undefined) throw problem('no --ttl is given');
  if (ACTION !== 'cache' && ttl !== undefined) throw problem('--ttl is for cache');
}

async function cache(args: Arguments): Promise<void> {
  const { ENC, ttl: seconds = 0, json, quiet } = args;
  const imageId = await withKeys(args, async (keys) => {
    keys.checkKeeping();
    await warnAbout(keys, args);
    return keepImageKey(ENC, { ...openedBy(keys), imageId: args.imageId }, seconds);
  });
  if (json) await printJson({ imageId, seconds });
  else if (!quiet) await print(`image ${imageId}: the kernel keeps its key for ${countOf(seconds, 'second')}\n`);
}

async function drop({ ENC, imageId: wanted, json, quiet }: Arguments): Promise<void> {
  const { imageId, wasKept: wasCached } = dropImageKey(ENC, wanted);
  const { dropSharedKeys } = await import('../../serve/leases/shared-key.ts');
  const wasKept = dropSharedKeys(imageId) || wasCached;
  if (json) await printJson({ imageId, wasKept });
  else if (!quiet) await print(`image ${imageId}: the kernel ${wasKept ? 'has dropped' : 'had not kept'} its key\n`);
}

async function change(args: Arguments): Promise<KeySlots> {
  return withKeys(args, async (keys) => {
    await warnAbout(keys, args);
    return changeBy(args, keys, { ...openedBy(keys), imageId: args.imageId });
  });
}

function changeBy(
  { ACTION, ENC, SLOT = '', LABEL = '' }: Arguments,
  keys: HeldKeys,
  options: OpenOptions,
): Promise<KeySlots> {
  switch (ACTION) {
    case 'add':
      return addKeySlots(ENC, options, keys.newRecipients);
    case 'remove':
      return removeKeySlot(ENC, options, SLOT);
    case 'replace':
      return replaceKeySlot(ENC, options, SLOT, keys.newRecipients);
    default:
      return labelKeySlot(ENC, options, SLOT, LABEL);
  }
}

const columns: readonly (readonly [title: string, text: (slot: ListedSlot) => string | undefined])[] = [
  ['slot', ({ slot }) => `${slot}`],
  ['label', ({ label }) => label],
  ['kind', ({ kind }) => kind],
  ['algorithm', ({ algorithm }) => algorithm],
  ['created', ({ created }) => created],
  ['expires', ({ notAfter }) => notAfter],
  ['thumbprint', ({ thumbprint }) => thumbprint],
  ['subject', ({ subject, url }) => subject ?? url],
];

/** The longest text of a cell: anyone who has the storage writes what is shown. */
const MAX_CELL = 80;

/** Makes text fit for a table: it cannot look like other columns, nor fill several lines. */
function cell(text: string): string {
  return printable(text.replace(/\s+/g, ' '), MAX_CELL);
}

/** Lists slots, a line each, without the columns that are empty. */
function listing({ slots }: KeySlots): string {
  const used = columns.filter(([, text]) => slots.some((slot) => text(slot) !== undefined));
  const rows = slots.map((slot) => used.map(([, text]) => cell(text(slot) ?? '-')));
  return table([used.map(([title]) => title), ...rows]);
}
