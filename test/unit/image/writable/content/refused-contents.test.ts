import { describe, expect, test } from 'vitest';
import { ioErrorName } from '../../../../../src/base/errors.ts';
import { Region } from '../../../../../src/base/linux/native.ts';
import { recoverImage, sealImage } from '../../../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../../../src/image/writable/open-writable.ts';
import { diskAfter } from '../../../../support/memory-disk.ts';
import { RecordingStore, refuseObjects } from '../../../../support/recording-store.ts';
import { type BegunImage, describeImage, newImage, patternBytes, Session } from '../session.ts';

const chunkSize = 4096;

function errnoOf(action: () => unknown): string {
  try {
    action();
    return 'done';
  } catch (error) {
    return ioErrorName(error) ?? String(error);
  }
}

const bytes = (text: string): Region => new Region(Buffer.from(text));

function write(session: Session, name: string, text: string, offset = 0): void {
  const { image } = session;
  image.write(numberOf(session, name), offset, text.length, bytes(text), 0);
}

function numberOf({ image }: Session, name: string): number {
  const number = image.lookup(1, Buffer.from(name));
  return number ?? image.create(1, Buffer.from(name), { mode: 0o600, uid: 0, gid: 0 });
}

function content(session: Session, name: string): string {
  const number = numberOf(session, name);
  const out = new Region(100_000);
  return out.bytes.toString('latin1', 0, session.image.read(number, 0, out.length, out, 0));
}

/** What is there when the process has ended: all that was done to the disk is. */
function afterKill({ store, header, imageKey }: BegunImage): BegunImage {
  return { store: new RecordingStore(diskAfter(store.log, (operation) => operation)), header, imageKey };
}

async function newSession(poolSize = 1 << 18): Promise<readonly [BegunImage, Session]> {
  const begun = await newImage('aes-256-xts', chunkSize);
  return [begun, new Session(begun, { poolSize })];
}

test.each(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'])(
  '%s: every write, commit and sync of any file fails until the contents are stored; names can be changed',
  async (code) => {
    const [begun, session] = await newSession();
    const { image } = session;
    write(session, 'other', 'other');
    image.commit();
    refuseObjects(begun.store, code);
    write(session, 'small', 'hello\n');
    for (let again = 0; again < 3; again++) {
      expect(errnoOf(() => image.commit())).toBe(code);
      expect(errnoOf(() => image.sync())).toBe(code);
      expect(errnoOf(() => write(session, 'small', 'x'))).toBe(code);
      expect(errnoOf(() => write(session, 'other', 'x'))).toBe(code);
      image.mkdir(1, Buffer.from(`d${again}`), { mode: 0o700, uid: 0, gid: 0 });
    }
    expect(content(session, 'small')).toBe('hello\n');
    expect(image.unstored.describe()).toBe('"small"');
    expect(image.inode(numberOf(session, 'small'))).toMatchObject({ lost: true });
    begun.store.fault = undefined;
    write(session, 'other', 'O');
    image.commit();
    expect(image.inode(numberOf(session, 'small'))).toMatchObject({ lost: false });
    expect(image.unstored.describe()).toBeUndefined();
    session.close();

    const left = afterKill(begun);
    const warnings: string[] = [];
    sealImage(left.store, left.header, left.imageKey, (line) => warnings.push(line));
    const again = new Session(left);
    expect([content(again, 'small'), content(again, 'other')]).toEqual(['hello\n', 'Other']);
    again.close();
  },
);

test('what was refused is said by the journal: seal and a writer refuse, recover names it and keeps the rest', async () => {
  const [begun, session] = await newSession();
  write(session, 'kept', 'kept');
  session.image.commit();
  refuseObjects(begun.store, 'EDQUOT');
  write(session, 'small', 'hello\n');
  expect(errnoOf(() => session.image.commit())).toBe('EDQUOT');
  session.close();
  begun.store.fault = undefined;
  const { store, header, imageKey } = afterKill(begun);
  const lost = 'what was written last to "small": the store refused it';
  for (const act of [() => sealImage(store, header, imageKey), () => openWritable(store, header, imageKey)]) {
    expect(act).toThrow(expect.objectContaining({ code: 'unsealed', message: expect.stringContaining(lost) }));
  }
  expect(recoverImage(store, header, imageKey)).toEqual({ dropped: lost });
  expect(recoverImage(store, header, imageKey)).toEqual({ dropped: undefined });
  sealImage(store, header, imageKey);
  const again = new Session({ store, header, imageKey });
  expect(content(again, 'kept')).toBe('kept');
  again.close();
});

test('a stored chunk stays until what replaces it is stored', async () => {
  const [begun, session] = await newSession();
  const before = patternBytes(1, 3 * chunkSize).toString('latin1');
  const number = numberOf(session, 'f');
  session.image.write(number, 0, before.length, new Region(Buffer.from(before, 'latin1')), 0);
  session.image.sync();
  refuseObjects(begun.store, 'ENOSPC');
  write(session, 'f', 'new', chunkSize + 7);
  for (let again = 0; again < 4; again++) expect(errnoOf(() => session.image.sync())).toBe('ENOSPC');
  expect(content(session, 'f').slice(chunkSize + 7, chunkSize + 10)).toBe('new');
  session.close();
  const { store, header, imageKey } = afterKill(begun);
  expect(recoverImage(store, header, imageKey).dropped).toContain('"f"');
  const again = new Session({ store, header, imageKey });
  expect(content(again, 'f')).toBe(before);
  again.close();
});

describe.each([
  ['written since the last seal', false],
  ['sealed', true],
])('of a file that is cut while the store refuses, contents %s', (_, isSealed) => {
  const before = Array.from({ length: 900 }, (_, at) => `line ${at + 100}\n`).join('');

  /** Cut to the middle of its second chunk, which is refused. */
  async function cut(): Promise<readonly [BegunImage, Session, number, string]> {
    const [begun, first] = await newSession();
    write(first, 'f', before);
    if (isSealed) first.image.seal();
    else first.image.sync();
    if (isSealed) first.close();
    const session = isSealed ? new Session(begun, { poolSize: 1 << 18 }) : first;
    const number = numberOf(session, 'f');
    const size = chunkSize + 1000;
    refuseObjects(begun.store, 'ENOSPC');
    session.image.truncate(number, size);
    expect(errnoOf(() => session.image.sync())).toBe('ENOSPC');
    return [begun, session, number, before.slice(0, size)];
  }

  function recovered(begun: BegunImage): string {
    const { store, header, imageKey } = afterKill(begun);
    expect(recoverImage(store, header, imageKey).dropped).toContain('"f"');
    const again = new Session({ store, header, imageKey });
    const found = content(again, 'f');
    again.image.truncate(numberOf(again, 'f'), before.length);
    expect(content(again, 'f').slice(found.length)).toBe('\0'.repeat(before.length - found.length));
    again.close();
    return found;
  }

  test('are kept up to its end, and what was cut off is gone', async () => {
    const [begun, session, , kept] = await cut();
    expect(content(session, 'f')).toBe(kept);
    expect(errnoOf(() => session.image.sync())).toBe('ENOSPC');
    session.close();
    expect(recovered(begun)).toBe(kept);
  });

  test('are kept when it is cut once more', async () => {
    const [begun, session, number, kept] = await cut();
    session.image.truncate(number, chunkSize + 10);
    expect(errnoOf(() => session.image.sync())).toBe('ENOSPC');
    session.close();
    expect(recovered(begun)).toBe(kept.slice(0, chunkSize + 10));
  });

  test('let it grow again only when the cut is stored', async () => {
    const [begun, session, number, kept] = await cut();
    expect(errnoOf(() => session.image.truncate(number, before.length))).toBe('ENOSPC');
    expect(errnoOf(() => session.image.extend(number, chunkSize + 1001))).toBe('ENOSPC');
    expect(content(session, 'f')).toBe(kept);
    begun.store.fault = undefined;
    session.image.truncate(number, before.length);
    expect(content(session, 'f')).toBe(kept + '\0'.repeat(before.length - kept.length));
    session.image.commit();
    session.close();
    const { store, header, imageKey } = afterKill(begun);
    const again = new Session({ store, header, imageKey });
    expect(content(again, 'f')).toBe(kept + '\0'.repeat(before.length - kept.length));
    again.close();
  });

  test('do not come back in a journal that is begun meanwhile', async () => {
    const [begun, first] = await newSession();
    write(first, 'f', before);
    if (isSealed) first.image.seal();
    else first.image.sync();
    first.close();
    const session = new Session(begun, { limits: { pending: 1 << 20, journal: 1, freed: 1 << 20 } });
    refuseObjects(begun.store, 'ENOSPC');
    session.image.truncate(numberOf(session, 'f'), chunkSize + 1000);
    for (let at = 0; at < 30; at++) session.image.mkdir(1, Buffer.from(`d${at}`), { mode: 0o700, uid: 0, gid: 0 });
    expect(begun.store.log.filter((done) => done.kind === 'rename' && done.to === 'journal').length).toBeGreaterThan(2);
    session.close();
    expect(recovered(begun)).toBe(before.slice(0, chunkSize + 1000));
  });
});

test('trying again and again takes no more room: neither places in objects nor objects', async () => {
  const [begun, session] = await newSession();
  write(session, 'kept', 'kept');
  session.image.commit();
  refuseObjects(begun.store, 'EDQUOT');
  for (let at = 0; at < 20; at++) write(session, 'small', 'x', at * chunkSize);
  for (let again = 0; again < 500; again++) expect(errnoOf(() => session.image.commit())).toBe('EDQUOT');
  expect(begun.store.list().objects).toEqual([expect.objectContaining({ size: 2 * 4096 + chunkSize })]);
  begun.store.fault = undefined;
  session.image.seal();
  session.close();
  expect(begun.store.list().objects).toEqual([expect.objectContaining({ size: 2 * 4096 + 21 * chunkSize })]);
  const again = new Session(begun);
  expect([content(again, 'kept'), content(again, 'small').length]).toEqual(['kept', 19 * chunkSize + 1]);
  again.close();
});

test.each(['cut', 'removed'])('no call fails any more when the file is %s', async (how) => {
  const [begun, session] = await newSession();
  refuseObjects(begun.store, 'EDQUOT');
  write(session, 'small', 'hello\n');
  const number = numberOf(session, 'small');
  expect(errnoOf(() => session.image.commit())).toBe('EDQUOT');
  if (how === 'cut') session.image.truncate(number, 0);
  else {
    session.image.unlink(1, Buffer.from('small'));
    session.image.release(number);
  }
  session.image.sync();
  expect(session.image.unstored.describe()).toBeUndefined();
  session.image.seal();
  session.close();
  begun.store.fault = undefined;
  const again = new Session(begun);
  if (how === 'cut') expect(content(again, 'small')).toBe('');
  else expect(describeImage(again.image)).toBe('/');
  again.close();
});

test('contents that the full pool has no place for are refused before they are taken', async () => {
  const [begun, session] = await newSession(4 * chunkSize);
  refuseObjects(begun.store, 'EDQUOT');
  const taken: string[] = [];
  const errors: string[] = [];
  for (let at = 0; at < 8; at++) {
    const name = `f${at}`;
    const result = errnoOf(() => write(session, name, name));
    if (result === 'done') taken.push(name);
    else errors.push(result);
  }
  expect(taken).toEqual(['f0']);
  expect(new Set(errors)).toEqual(new Set(['EDQUOT']));
  begun.store.fault = undefined;
  session.image.commit();
  expect(content(session, 'f0')).toBe('f0');
  session.close();
});
