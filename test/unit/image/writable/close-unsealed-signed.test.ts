import { expect, test } from 'vitest';
import { checkSignatures } from '../../../../src/image/signatures/check.ts';
import { sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { type DiskOperation, diskAfter } from '../../../support/memory-disk.ts';
import { RecordingStore } from '../../../support/recording-store.ts';
import { testSigner, trustIn } from '../../../support/signers.ts';
import { recovered } from './left-image.ts';
import { type BegunImage, newImage, Session } from './session.ts';

const signer = testSigner();
const trust = trustIn(signer);

/** Writes, seals and signs; writes again and seals without signing; and once more with a signature. */
async function sealedThrice(): Promise<BegunImage> {
  const begun = await newImage('aes-256-xts', 4096);
  const { store, header, imageKey } = begun;
  const session = new Session(begun);
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 10_000, seed: 1 });
  session.close();
  sealImage(store, header, imageKey, undefined, [signer]);
  for (const signers of [[], [signer]]) {
    const image = openWritable(store, header, imageKey, { poolSize: 1 << 18 });
    image.mkdir(1, Buffer.from(`d${signers.length}`), { mode: 0o755, uid: 0, gid: 0 });
    image.commit();
    image.close();
    sealImage(store, header, imageKey, undefined, signers);
  }
  return begun;
}

/** Returns in which state an image is; throws for one that is sealed with signatures that are not of this seal. */
async function stateOf(store: RecordingStore, { header }: BegunImage): Promise<string> {
  if (store.has('journal')) return 'unsealed';
  if (!store.has('manifest')) return 'unfinished';
  if (!store.has('signatures')) return 'unsigned';
  return `signed, seal ${(await checkSignatures(store, header, trust)).epoch}`;
}

test.each<[string, (operation: DiskOperation, at: number) => DiskOperation | undefined]>([
  ['keeps all that was done', (operation) => operation],
  ['loses all that was not durable', () => undefined],
  ['loses every other thing that was not durable', (operation, at) => (at % 2 === 0 ? operation : undefined)],
])('a crash that %s leaves signatures of the seal, or none, or an image that is not sealed', async (_, loss) => {
  const begun = await sealedThrice();
  const { log } = begun.store;
  const start = log.findIndex((operation) => operation.kind === 'rename' && operation.to === 'journal') + 2;
  const states: string[] = [];
  for (let crash = start; crash <= log.length; crash++) {
    let at = 0;
    const disk = diskAfter(log.slice(0, crash), (operation) => loss(operation, at++));
    const state = await stateOf(new RecordingStore(disk), begun);
    if (states.at(-1) !== state) states.push(state);
    recovered(begun, disk);
  }
  expect(states.at(-1)).toBe('signed, seal 3');
  expect(states.filter((state, index) => states.indexOf(state) === index)).toEqual([
    'unsealed',
    'signed, seal 1',
    'unsigned',
    'signed, seal 3',
  ]);
});

test('an image that is sealed already is signed as it is, and sealing another one removes its signatures', async () => {
  const { store, header, imageKey } = await sealedThrice();
  const manifest = store.readNamed('manifest', 1 << 20);
  const second = testSigner('P-256');
  sealImage(store, header, imageKey, undefined, [second]);
  expect(store.readNamed('manifest', 1 << 20)).toEqual(manifest);
  for (const one of [signer, second]) {
    expect(await checkSignatures(store, header, trustIn(one))).toMatchObject({ epoch: 3, signer: one.keyId });
  }
  openWritable(store, header, imageKey).close();
  expect(store.has('signatures')).toBe(true);
  sealImage(store, header, imageKey);
  expect(store.has('signatures')).toBe(false);
});
