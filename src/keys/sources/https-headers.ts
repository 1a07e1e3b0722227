import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { readSecretFile } from '../key-file.ts';
import { claimVariable, takeVariable } from './environment.ts';
import { type HeaderField, MAX_TEXT_SIZE } from './source.ts';

const LINE_FEED = 0x0a;

/** Fields that say how the request is sent. */
const FORBIDDEN: ReadonlySet<string> = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'expect']);

/**
 * Parses `NAME: [WORD ]SOURCE`, with `@FILE`, `file:FILE` or `env:VARIABLE` for SOURCE, such as `Authorization: Bearer
 * @/run/token`. A value that is written out is refused: every process of the host can read arguments.
 * From then on no child gets the variable. The field can be sent more than once.
 * @throws CkptfsError `bad-argument`, which does not repeat the text
 */
export function parseHeaderField(text: string): HeaderField {
  const [, name = '', word = '', kind = '', place = ''] =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([A-Za-z][\w-]* )?(@|file:|env:)(.+)$/.exec(text) ?? [];
  if (name === '') {
    throw new CkptfsError(
      'bad-argument',
      'a header field names where its value is: "NAME: @FILE" or "NAME: env:VARIABLE", with a word such as Bearer ' +
        'before that if need be',
    );
  }
  if (FORBIDDEN.has(name.toLowerCase())) throw new CkptfsError('bad-argument', `${name} is set by ckptfs itself`);
  if (kind === 'env:') claimVariable(place);
  const read = kind === 'env:' ? () => fromVariable(place) : () => fromFile(place);
  let value: string | undefined;
  return {
    name,
    value: () => {
      // A variable can be taken only once, and a request may be made again.
      value ??= word + read();
      return value;
    },
  };
}

function fromFile(path: string): string {
  return readSecretFile('header file', path, (text) => fieldValue(text, `header file ${path}`)).value;
}

function fromVariable(name: string): string {
  const text = offHeap(MAX_TEXT_SIZE + 1);
  try {
    return fieldValue(text.subarray(0, takeVariable(name, text)), `env:${name}`);
  } finally {
    wipe(text);
  }
}

/** Returns the first line. @throws CkptfsError `bad-key-file` when it cannot be the value of a header field */
function fieldValue(text: Uint8Array, source: string): string {
  const end = text.indexOf(LINE_FEED);
  const line = Buffer.from(text.buffer, text.byteOffset, end === -1 ? text.length : end);
  const isRight = line.length > 0 && line.length <= MAX_TEXT_SIZE && line.every((byte) => byte >= 0x20 && byte < 0x7f);
  if (isRight) return line.toString('latin1');
  throw new CkptfsError('bad-key-file', `${source}: expected the value of a header field in ASCII in the first line`, {
    data: { reason: 'not-a-key' },
  });
}
