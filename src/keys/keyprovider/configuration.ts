import { MalformedError } from '../../base/bytes.ts';
import { readOwnedFile } from '../../base/owned-file.ts';
import { membersOf } from '../../format/members.ts';

/** Names the file that says which key providers there are (docs/keyprovider.md of ocicrypt). */
export const CONFIGURATION_VARIABLE = 'OCICRYPT_KEYPROVIDER_CONFIG';

const MAX_SIZE = 64 << 10;

/** How a key provider is asked: a program with its arguments, or the address of a gRPC server. */
export type ProviderPlace =
  | { readonly command: readonly [program: string, ...args: string[]] }
  | { readonly grpc: string };

/** Key providers by their names. Each says where it is, or throws a MalformedError: others need not be of its form. */
export type Providers = ReadonlyMap<string, () => ProviderPlace>;

/**
 * Reads the key providers of a configuration of ocicrypt.
 * @throws MalformedError for one that others can change, since it names programs, and for one that is wrong
 */
export function readProviders(path: string): Providers {
  const owners = [0, process.geteuid?.() ?? 0];
  const text = readOwnedFile(path, MAX_SIZE, { owners, followLinks: true });
  if (text === undefined) throw new MalformedError('there is no such file');
  return parseProviders(text);
}

/** Parses such a configuration. Members of others are left to them. @throws MalformedError */
export function parseProviders(text: Uint8Array): Providers {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  const providers = membersOf(membersOf(value, 'it').get('key-providers') ?? {}, 'key-providers');
  return new Map([...providers].map(([name, one]) => [name, () => placeOf(name, membersOf(one, name))]));
}

function placeOf(name: string, members: ReadonlyMap<string, unknown>): ProviderPlace {
  const [cmd, grpc] = [members.get('cmd'), members.get('grpc')];
  if (cmd !== undefined && cmd !== null) {
    const command = membersOf(cmd, `${name}.cmd`);
    const args = command.get('args') ?? [];
    if (!Array.isArray(args)) throw new MalformedError(`${name}.cmd.args is not a list`);
    return { command: [textOf(command.get('path'), `${name}.cmd.path`), ...args.map(argumentOf(name))] };
  }
  if (grpc === undefined || grpc === null) throw new MalformedError(`${name} has neither cmd nor grpc`);
  return { grpc: textOf(grpc, `${name}.grpc`) };
}

function argumentOf(name: string): (value: unknown) => string {
  return (value) => {
    if (typeof value === 'string' && !value.includes('\0')) return value;
    throw new MalformedError(`${name}.cmd.args has what is no text`);
  };
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw new MalformedError(`${what} is not a text`);
}
