import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CkptfsError, ErrorCode } from '../../../../src/base/errors.ts';
import { closeDescriptor, duplicateFrom, duplicateTo } from '../../../../src/base/linux/descriptors.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';
import { sourceForms } from '../../../../src/keys/sources/schemes.ts';
import type { SourceOptions } from '../../../../src/keys/sources/source.ts';
import { KeyServer } from '../../../support/key-server.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';

/** Every piece of memory outside the heap that was made for a secret. */
const made = vi.hoisted((): Uint8Array[] => []);
vi.mock('../../../../src/crypto/off-heap.ts', async (original) => {
  const { offHeap } = await original<typeof import('../../../../src/crypto/off-heap.ts')>();
  return {
    offHeap: (length: number) => {
      const memory = offHeap(length);
      made.push(memory);
      return memory;
    },
  };
});

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-sources-'));
const authority = new TlsAuthority();
const path = (name: string) => join(directory, name);
const suffix = randomBytes(4).toString('hex');
// The keyring is that of the user on the whole machine, where these tests may run twice at a time.
const keyName = (what: string) => `ckptfs-test-${what}-${suffix}`;
const digits = '00ff10a5b6c7d8e9fa0b1c2d3e4f506100ff10a5b6c7d8e9fa0b1c2d3e4f5061';

let server: KeyServer;
let body: Buffer = Buffer.alloc(0);
beforeAll(async () => {
  server = await KeyServer.start(authority.issue('server', 'IP:127.0.0.1'), (request, response) => {
    const status = request.url === '/absent' ? 404 : request.url === '/unreadable' ? 401 : 200;
    response.writeHead(status).end(body);
  });
  mkdirSync(path('folder'));
});
afterAll(async () => {
  await server.close();
  authority.remove();
  rmSync(directory, { recursive: true });
});

interface Place {
  readonly uri: string;
  readonly options?: SourceOptions;
  /** Undoes what giving it cost. */
  readonly end?: () => void;
}

interface Kind {
  readonly scheme: string;
  /** Puts a text where the source has it from. */
  readonly has: (text: Buffer) => Place;
  readonly absent: () => Place;
  readonly absentIs: readonly [ErrorCode, string];
  /** Undefined where the system cannot refuse it. */
  readonly unreadable?: () => Place;
  readonly unreadableIs?: readonly [ErrorCode, string];
  /** What a text that is no key is. */
  readonly wrongIs: readonly [ErrorCode, string];
  readonly tooLongIs: readonly [ErrorCode, string];
  /** How messages name it. */
  readonly named: RegExp;
}

const own = { wrongIs: ['bad-key-file', 'not-a-key'], tooLongIs: ['bad-key-file', 'too-large'] } as const;
const answered = { wrongIs: ['key-unavailable', 'garbage'], tooLongIs: ['key-unavailable', 'garbage'] } as const;

function file(text: Buffer): string {
  writeFileSync(path('text'), text, { mode: 0o600 });
  return path('text');
}

/** Makes standard input something else for a while. */
function asInput(open: () => number): () => void {
  const before = duplicateFrom(0, 3);
  const fd = open();
  duplicateTo(fd, 0);
  closeSync(fd);
  return () => {
    duplicateTo(before, 0);
    closeDescriptor(before);
  };
}

function keyctl(...args: string[]): string {
  return execFileSync('keyctl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

const https = () => ({ caFile: authority.caFile, timeoutSeconds: 20 });

const kinds: readonly Kind[] = [
  {
    scheme: 'file',
    has: (text) => ({ uri: `file:${file(text)}` }),
    absent: () => ({ uri: `file:${path('absent')}` }),
    absentIs: ['bad-key-file', 'missing'],
    unreadable: () => ({ uri: `file:${path('folder')}` }),
    unreadableIs: ['bad-key-file', 'unreadable'],
    named: /key file \/.*\/(?:text|absent|folder)/,
    ...own,
  },
  {
    scheme: 'fd',
    has: (text) => {
      const fd = openSync(file(text), 'r');
      return { uri: `fd:${fd}`, end: () => closeSync(fd) };
    },
    absent: () => ({ uri: 'fd:1023' }),
    absentIs: ['bad-key-file', 'absent'],
    unreadable: () => {
      const fd = openSync(path('folder'), 'r');
      return { uri: `fd:${fd}`, end: () => closeSync(fd) };
    },
    unreadableIs: ['bad-key-file', 'unreadable'],
    named: /fd:\d+/,
    ...own,
  },
  {
    scheme: 'stdin',
    has: (text) => ({ uri: 'stdin:', end: asInput(() => openSync(file(text), 'r')) }),
    absent: () => {
      const end = asInput(() => openSync('/dev/null', 'r'));
      closeDescriptor(0);
      return { uri: 'stdin:', end };
    },
    absentIs: ['bad-key-file', 'absent'],
    unreadable: () => ({ uri: 'stdin:', end: asInput(() => openSync(path('folder'), 'r')) }),
    unreadableIs: ['bad-key-file', 'unreadable'],
    named: /stdin:/,
    ...own,
  },
  {
    scheme: 'env',
    has: (text) => {
      process.env['CKPTFS_TEST_KEY'] = text.toString('latin1');
      return { uri: 'env:CKPTFS_TEST_KEY' };
    },
    absent: () => ({ uri: 'env:CKPTFS_TEST_ABSENT' }),
    absentIs: ['bad-key-file', 'absent'],
    named: /env:CKPTFS_TEST_(?:KEY|ABSENT)/,
    ...own,
  },
  {
    scheme: 'cmd',
    has: (text) => ({ uri: `cmd:cat '${file(text)}'` }),
    absent: () => ({ uri: 'cmd:ckptfs-no-such-command' }),
    absentIs: ['key-unavailable', 'command-failed'],
    unreadable: () => ({ uri: `cmd:cat '${path('folder')}'` }),
    unreadableIs: ['key-unavailable', 'command-failed'],
    named: /cmd:(?:cat '.*'|ckptfs-no-such-command)/,
    ...answered,
  },
  {
    scheme: 'https',
    has: (text) => {
      body = text;
      return { uri: `${server.url}/key`, options: https() };
    },
    absent: () => ({ uri: `${server.url}/absent`, options: https() }),
    absentIs: ['key-unavailable', 'absent'],
    unreadable: () => ({ uri: `${server.url}/unreadable`, options: https() }),
    unreadableIs: ['key-unavailable', 'denied'],
    named: /https:\/\/127\.0\.0\.1:\d+\/(?:key|absent|unreadable)/,
    ...answered,
  },
  {
    scheme: 'keyring',
    has: (text) => {
      // The kernel has no empty key of this type.
      const payload = text.length === 0 ? Buffer.from('\n') : text;
      execFileSync('keyctl', ['padd', 'user', keyName('source'), '@u'], { input: payload });
      return { uri: `keyring:${keyName('source')}`, end: () => keyctl('purge', 'user', keyName('source')) };
    },
    absent: () => ({ uri: `keyring:${keyName('absent')}` }),
    absentIs: ['bad-key-file', 'absent'],
    unreadable: () => {
      const key = keyctl('add', 'user', keyName('closed'), digits, '@u');
      keyctl('setperm', key, '0x01010000');
      return { uri: `keyring:${keyName('closed')}`, end: () => keyctl('unlink', key, '@u') };
    },
    unreadableIs: ['bad-key-file', 'unreadable'],
    named: /keyring:ckptfs-test-[\w-]+/,
    ...own,
  },
];

async function read({ uri, options, end }: Place): Promise<Buffer> {
  try {
    const source = await openKeySource(uri, options);
    const key = await source.read();
    expect(source.gives).toBe('key');
    const bytes = Buffer.from(key.bytes);
    key.wipe();
    return bytes;
  } finally {
    end?.();
  }
}

async function refusal(place: Place): Promise<CkptfsError> {
  const error = await read(place).then(
    () => undefined,
    (reason: CkptfsError) => reason,
  );
  if (error === undefined) throw new Error('it was read');
  return error;
}

beforeEach(() => {
  made.length = 0;
});

/** Checks that nothing of a secret is left where it was read into. */
function expectWiped(): void {
  expect(made.length).toBeGreaterThan(0);
  for (const memory of made) expect(memory.every((byte) => byte === 0)).toBe(true);
}

test('every kind of key source is held to the contract', () => {
  expect(kinds.map(({ scheme }) => scheme).sort()).toEqual(
    Object.keys(sourceForms)
      .filter((name) => name !== 'passphrase')
      .sort(),
  );
});

describe.each(kinds)('$scheme:', (kind) => {
  const expectRefused = async (place: Place, [code, reason]: readonly [ErrorCode, string]) => {
    const error = await refusal(place);
    expect([error.code, (error.data as { reason?: string }).reason]).toEqual([code, reason]);
    expect(error.message).toMatch(kind.named);
    expect(`${error.message}${JSON.stringify(error.data)}`).not.toContain(digits.slice(0, 8));
    return error;
  };

  test('gives a key of 16, 24 or 32 bytes, and wipes what it was read into', async () => {
    for (const size of [16, 24, 32]) {
      const text = digits.slice(0, 2 * size);
      expect((await read(kind.has(Buffer.from(text)))).toString('hex')).toBe(text);
    }
    expectWiped();
  });

  test('white space around the digits, and capitals, do not matter', async () => {
    expect((await read(kind.has(Buffer.from(` \t${digits.toUpperCase()}\r\n`)))).toString('hex')).toBe(digits);
    expect((await read(kind.has(Buffer.from(digits.padEnd(4096))))).toString('hex')).toBe(digits);
  });

  test('absent', async () => {
    await expectRefused(kind.absent(), kind.absentIs);
  });

  // Some sources can be read whenever they are there, such as a variable.
  if (kind.unreadable !== undefined) {
    test('unreadable', async () => {
      if (kind.unreadable && kind.unreadableIs) await expectRefused(kind.unreadable(), kind.unreadableIs);
    });
  }

  test('empty, and white space alone', async () => {
    const empty = await expectRefused(kind.has(Buffer.alloc(0)), kind.wrongIs);
    expect(empty.message).toMatch(/it is empty|found only white space/);
    await expectRefused(kind.has(Buffer.from(' \n')), kind.wrongIs);
  });

  test('no digits, other lengths, and text after the key', async () => {
    const wrong = [`${digits.slice(0, 40)}z${digits.slice(41)}`, digits.slice(1), digits.slice(2), `${digits}00`];
    for (const text of [...wrong, `${digits}\n${digits}`, '<html>no</html>', '\x1b[2J', '\xff\xfe']) {
      await expectRefused(kind.has(Buffer.from(text, 'latin1')), kind.wrongIs);
    }
    expectWiped();
  });

  test('too long', async () => {
    await expectRefused(kind.has(Buffer.from(digits.padEnd(4097))), kind.tooLongIs);
    expectWiped();
  });
});

describe('what names no source', () => {
  test.each([
    ['foo:bar', 'no key comes from foo:'],
    ['http://keys.example/k', 'not fetched by http:'],
    ['FILE:k', 'begins with a scheme'],
    ['k', 'begins with a scheme'],
    ['', 'begins with a scheme'],
    ['toString:x', 'begins with a scheme'],
    ['constructor:x', 'no key comes from'],
    ['file:', 'no path'],
    ['stdin:x', 'nothing may follow'],
    ['fd:', 'number of a descriptor'],
    ['fd:-1', 'number of a descriptor'],
    ['fd:1024', 'number of a descriptor'],
    ['fd:03', 'number of a descriptor'],
    ['fd:3x', 'number of a descriptor'],
    ['env:', 'name of an environment variable'],
    ['env:A=B', 'name of an environment variable'],
    ['cmd: ', 'command of the shell'],
    ['https:keys.example', 'needs a URL'],
    ['https://', 'needs a URL'],
    ['https://u:secret@keys.example/', 'no user name'],
    ['keyring:', 'name of a key'],
  ])('%s', async (uri, said) => {
    const error = await refusal({ uri });
    expect(error.code).toBe('bad-argument');
    expect(error.message).toContain(said);
    expect(error.message).not.toContain('secret');
  });

  test('a key that is given in place of its source is not repeated', async () => {
    const error = await refusal({ uri: digits });
    expect(error.message).not.toContain(digits.slice(0, 8));
    expect(error.message).toContain('known are file:PATH, stdin:, fd:N, env:NAME, cmd:COMMAND, https://HOST/PATH');
  });

  test('anything is refused, or is a source that says where it reads', async () => {
    const scheme = fc.constantFrom(...Object.keys(sourceForms), 'http', 'x', '');
    await fc.assert(
      fc.asyncProperty(scheme, fc.string(), async (name, rest) => {
        const found = await openKeySource(`${name}:${rest}`).catch((error: CkptfsError) => error);
        if (found instanceof Error) expect((found as CkptfsError).code).toBe('bad-argument');
        else expect(found.source).not.toBe('');
      }),
    );
  });
});
