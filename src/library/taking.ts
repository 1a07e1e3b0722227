import { MalformedError } from '../base/bytes.ts';
import { membersOf } from '../format/members.ts';
import { archiveSuffix } from './archive-names.ts';
import { type FileIdentity, identityMembers } from './file-identity.ts';

/** An archive whose image is sealed and verified, and that is to be removed: what has to be known after a crash. */
export interface Taking {
  /** The path of the directory of the archive. */
  readonly directory: string;
  /** The name of the archive. */
  readonly name: Buffer;
  readonly archive: FileIdentity;
  /** The name of its image. */
  readonly image: Buffer;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
}

const VERSION = 1;

/** Returns it as JSON text; names are hexadecimal, as they need not be UTF-8. */
export function encodeTaking({ name, image, ...rest }: Taking): string {
  const names = { name: name.toString('hex'), image: image.toString('hex') };
  return `${JSON.stringify({ version: VERSION, ...names, ...rest })}\n`;
}

/**
 * Parses what {@link encodeTaking} made, or what an attacker on the storage of the images did: it names an archive.
 * @throws MalformedError
 */
export function decodeTaking(text: string): Taking {
  const members = membersOf(parse(text), 'the record');
  if (members.get('version') !== VERSION) throw new MalformedError('another version');
  const archive = membersOf(members.get('archive'), 'the archive');
  const facts = identityMembers.map((member) => [member, textOf(archive, member, /^\d+$/)] as const);
  return {
    directory: textOf(members, 'directory', /^\//),
    name: archiveNameOf(members),
    archive: Object.fromEntries(facts) as unknown as FileIdentity,
    image: nameOf(members, 'image'),
    imageId: textOf(members, 'imageId', /^[0-9a-f]{32}$/),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MalformedError(`no JSON: ${String(cause)}`);
  }
}

function archiveNameOf(members: ReadonlyMap<string, unknown>): Buffer {
  const name = nameOf(members, 'name');
  if (archiveSuffix(name) !== undefined) return name;
  throw new MalformedError('name is not one of an archive');
}

function nameOf(members: ReadonlyMap<string, unknown>, member: string): Buffer {
  return Buffer.from(textOf(members, member, /^(?:[0-9a-f]{2})+$/), 'hex');
}

function textOf(members: ReadonlyMap<string, unknown>, member: string, pattern: RegExp): string {
  const value = members.get(member);
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw new MalformedError(`${member} is not as it should be`);
}
