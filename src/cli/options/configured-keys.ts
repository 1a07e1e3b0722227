import { checkPaths } from '../command.ts';
import type { ConfiguredName, ConfiguredOptions } from '../config/configuration.ts';
import { mayBeConfigured } from '../config/places.ts';
import { omitUndefined } from '../omit-undefined.ts';
import type { KeyArguments, KeyServerArguments, RecipientArguments } from './key-options.ts';

/** Options that say who can open new images, and how their certificates are checked. */
const FOR_MAKING: readonly ConfiguredName[] = ['recipient', 'caFile', 'crlFile', 'ocsp'];
/** Options of what only opens images. */
const FOR_OPENING: readonly ConfiguredName[] = ['privateKey', 'keyDir', 'allowKeyUrl'];

/** Adds the keys of the configuration to the arguments of a command that names none, and opens an image. */
export async function configuredForOpening(args: KeyArguments & RecipientArguments): Promise<KeyArguments> {
  return { ...without(await configured(), FOR_MAKING), ...without(given(args), ['recipient']) };
}

/** Adds the configured keys and recipients to the arguments of a command that names none, and makes an image. */
export async function configuredForMaking(
  args: KeyArguments & RecipientArguments,
): Promise<KeyArguments & RecipientArguments> {
  return { ...without(await withChecks(args), FOR_OPENING), ...given(args) };
}

/** Adds to arguments with recipients how the configuration has certificates checked, unless they say so themselves. */
export async function withConfiguredChecks(
  args: KeyArguments & RecipientArguments,
): Promise<KeyArguments & RecipientArguments> {
  const { caFile, crlFile, ocsp } = await withChecks(args);
  return { ...omitUndefined({ caFile, crlFile, ocsp }), ...given(args) };
}

/** Adds to arguments how the configuration has servers of keys asked, unless they name a certificate themselves. */
export async function withConfiguredServers<T extends KeyServerArguments>(args: T): Promise<T> {
  const { keyCaFile, keyCert, keyCertKey } = args;
  const isNamed = keyCaFile !== undefined || keyCert !== undefined || keyCertKey !== undefined;
  if (isNamed || !mayBeConfigured()) return args;
  const options = await configured();
  return {
    ...args,
    ...omitUndefined({
      keyTimeout: args.keyTimeout ?? options.keyTimeout,
      keyCaFile: options.keyCaFile,
      keyCert: options.keyCert,
      keyCertKey: options.keyCertKey,
    }),
  };
}

/** Returns what is configured, without the checks where the arguments have their own: they belong together. */
async function withChecks({ caFile, crlFile, ocsp }: RecipientArguments): Promise<ConfiguredOptions> {
  const hasOwn = caFile !== undefined || crlFile !== undefined || ocsp !== undefined;
  return without(await configured(), hasOwn ? ['caFile', 'crlFile', 'ocsp'] : []);
}

async function configured(): Promise<ConfiguredOptions> {
  const { options } = (await import('../config/configuration.ts')).readConfiguration();
  await checkPaths({ ...options });
  return options;
}

/** Returns the arguments that have a value: a list of several sources may be empty. */
function given(args: KeyArguments & RecipientArguments): KeyArguments & RecipientArguments {
  const entries = Object.entries(args).filter(([, value]) => value !== undefined && !isEmptyList(value));
  return Object.fromEntries(entries);
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function without<T extends object>(options: T, names: readonly ConfiguredName[]): T {
  const kept = Object.entries(options).filter(([name]) => !names.some((each) => each === name));
  return Object.fromEntries(kept) as T;
}
