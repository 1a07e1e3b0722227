import { join } from 'node:path';
import { run, timed } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { Converter } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';

/** Encrypts `source` into the tmpfs, hands the result to `use`, and removes it. */
async function encrypted(
  bench: Bench,
  peer: Converter,
  source: string,
  use: (encrypted: string) => Promise<void>,
): Promise<number> {
  const target = join(bench.memory, 'encrypted');
  await warm(source);
  try {
    const seconds = await timed(...peer.encrypt(source, target));
    await use(target);
    return seconds;
  } finally {
    await run('rm', '-rf', target);
  }
}

async function decrypted(
  bench: Bench,
  peer: Converter,
  from: string,
  use: (decrypted: string) => Promise<void>,
): Promise<number> {
  const target = join(bench.memory, 'decrypted');
  await run('mkdir', target);
  try {
    const seconds = await timed(...peer.decrypt(from, target));
    await use(target);
    return seconds;
  } finally {
    await run('rm', '-rf', target);
  }
}

const unused = async (): Promise<void> => undefined;

export const convert: Group = {
  name: 'convert',
  heading: 'Encrypting and decrypting a whole checkpoint',
  method:
    'The command a user types, from its start to its end, with input in the page cache and output in a tmpfs, so that no disk is measured. age, openssl and gpg get and give a `tar` by a pipe; gocryptfs is mounted, copied to or from, and unmounted. `openssl enc` does not authenticate.',
  async run(bench, measure) {
    const data = await bench.large();
    const size = formatSize(bench.options.size);
    const { ours, gocryptfs, age, openssl, gpg } = bench.peers;
    const peers: Converter[] = present<Converter>(ours, gocryptfs, age, openssl, gpg);
    await measure({
      id: 'encrypt',
      title: `Encrypting ${size}`,
      unit: 'seconds',
      better: 'lower',
      competitors: peers.map((peer) => ({
        name: peer.name,
        async verify() {
          await encrypted(bench, peer, data.path, async (result) => {
            await decrypted(bench, peer, result, async (again) => {
              await run('diff', '-r', data.path, again);
            });
          });
        },
        measure: () => encrypted(bench, peer, data.path, unused),
      })),
    });
    await measure({
      id: 'decrypt',
      title: `Decrypting ${size}`,
      unit: 'seconds',
      better: 'lower',
      competitors: peers.map((peer) => ({
        name: peer.name,
        async measure() {
          let seconds = Number.NaN;
          await encrypted(bench, peer, data.path, async (result) => {
            seconds = await decrypted(bench, peer, result, unused);
          });
          return seconds;
        },
      })),
    });
  },
};
