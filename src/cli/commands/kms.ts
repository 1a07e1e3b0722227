import type { ArgumentsCamelCase, Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { isKey, type KmipAddress, keyUrl, parseKmipAddress } from '../../keys/kmip/address.ts';
import { KmipClient } from '../../keys/kmip/client.ts';
import { revocationReasons } from '../../keys/kmip/tags.ts';
import { schemeOf } from '../../keys/sources/schemes.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withConfiguredServers } from '../options/configured-keys.ts';
import { withKeyServerOptions } from '../options/key-options.ts';
import { withJson } from '../options/options.ts';
import { sourceOptionsOf } from '../options/source-options.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';

const actions = ['create', 'list', 'show', 'activate', 'revoke', 'destroy'] as const;

export const command = defineCommand({
  examples: [
    ['$0 kms create kmip://localhost fleet', 'A key of AES-256, named fleet; prints how it is named'],
    ['$0 kms list kmip://localhost', 'The keys that this client may see'],
    ['$0 kms show kmip://localhost/fleet', 'One key, by its identifier or its name'],
    ['$0 kms revoke kmip://localhost/1 --reason key-compromise', 'From now on it opens nothing'],
    ['$0 kms destroy kmip://localhost/1', 'For good: what was encrypted for it alone is lost'],
  ],
  options,
  async run(args) {
    const address = addressOf(args);
    const servers = await withConfiguredServers(args);
    const client = new KmipClient(
      address,
      sourceOptionsOf(servers, () => undefined),
    );
    try {
      client.startTime();
      await runAction(args, address, client);
    } finally {
      client.close();
    }
  },
});

type Arguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

function options(yargs: Argv<CommonOptions>) {
  return withJson(withKeyServerOptions(yargs))
    .option('reason', {
      type: 'string',
      nargs: 1,
      choices: revocationReasons,
      describe: 'revoke: why; after key-compromise nothing is to trust the key any more',
    })
    .positional('ACTION', { type: 'string', choices: actions, demandOption: true, describe: 'What to do' })
    .positional('SERVICE', { type: 'string', demandOption: true, describe: 'kmip://HOST, or kmip://HOST/KEY' })
    .positional('NAME', { type: 'string', describe: 'create: what the key is called' });
}

/** Refuses words that are missing, or that the action has no use for. @throws CkptfsError `bad-argument` */
function addressOf({ ACTION, SERVICE, NAME, reason }: Arguments): KmipAddress {
  const problem = (text: string): CkptfsError => new CkptfsError('bad-argument', `kms ${ACTION}: ${text}`);
  if (schemeOf(SERVICE) !== 'kmip') throw problem('the service is written kmip://HOST, or kmip://HOST/KEY');
  const address = parseKmipAddress(SERVICE.slice('kmip:'.length));
  const needsKey = ACTION !== 'create' && ACTION !== 'list';
  if (needsKey && address.key === undefined) throw problem('no key is named: kmip://HOST/KEY');
  if (!needsKey && address.key !== undefined) throw problem('no key is expected: kmip://HOST');
  if (ACTION === 'create' && NAME === undefined) throw problem('no name is given');
  if (NAME !== undefined && !isKey(NAME))
    throw problem('a name has 1 to 512 characters, none of them a control character');
  if (ACTION !== 'create' && NAME !== undefined) throw problem(`${NAME} is not expected`);
  if (ACTION === 'revoke' && reason === undefined) throw problem('no --reason is given');
  if (ACTION !== 'revoke' && reason !== undefined) throw problem('--reason is for revoke');
  return address;
}

async function runAction(args: Arguments, address: KmipAddress, client: KmipClient): Promise<void> {
  const { key: id = '' } = address;
  switch (args.ACTION) {
    case 'create': {
      const made = await client.create(args.NAME ?? '');
      return report(args, address, made, `is active: ${keyUrl(address, made)}`);
    }
    case 'activate':
      await client.activate(id);
      return report(args, address, id, 'is active');
    case 'revoke':
      await client.revoke(id, args.reason ?? 'unspecified');
      return report(args, address, id, 'is revoked');
    case 'destroy':
      await client.destroy(id);
      return report(args, address, id, 'is destroyed');
    default:
      return list(args, address, client, await (args.ACTION === 'list' ? client.list() : client.find(id)));
  }
}

async function report({ json, quiet }: Arguments, address: KmipAddress, id: string, what: string): Promise<void> {
  if (json) await printJson({ id, url: keyUrl(address, id) });
  else if (!quiet) await print(`key ${id} ${what}\n`);
}

async function list({ json }: Arguments, address: KmipAddress, client: KmipClient, ids: readonly string[]) {
  const keys: ListedKey[] = [];
  for (const id of ids) {
    const { names, state, algorithm, bits } = await client.attributes(id);
    keys.push({
      id,
      url: keyUrl(address, id),
      names,
      state: state ?? null,
      algorithm: algorithm === undefined ? null : algorithmText(algorithm),
      bits: bits ?? null,
    });
  }
  if (json) await printJson({ keys });
  else await print(listing(keys));
}

interface ListedKey {
  readonly id: string;
  readonly url: string;
  readonly names: readonly string[];
  /** `null` where the server does not say. */
  readonly state: string | null;
  readonly algorithm: string | null;
  readonly bits: number | null;
}

/** The longest text of a cell: other clients of the server write what is shown. */
const MAX_CELL = 80;

function listing(keys: readonly ListedKey[]): string {
  const cell = (text: string | number | null): string => (text === null ? '-' : printable(`${text}`, MAX_CELL));
  const rows = keys.map(({ id, names, state, algorithm, bits }) =>
    [id, names.length === 0 ? null : names.join(', '), state, algorithm, bits].map(cell),
  );
  return table([['key', 'name', 'state', 'algorithm', 'bits'], ...rows]);
}

/** Names an algorithm by its number in KMIP. */
function algorithmText(number: number): string {
  return { 1: 'DES', 2: '3DES', 3: 'AES', 28: 'ChaCha20', 30: 'ChaCha20-Poly1305' }[number] ?? `algorithm ${number}`;
}
