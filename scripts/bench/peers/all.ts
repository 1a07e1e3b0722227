import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ageKind } from './age.ts';
import { type Ckptfs, ckptfsKind } from './ckptfs.ts';
import { gocryptfsKind } from './gocryptfs.ts';
import { gpgKind } from './gpg.ts';
import { installPackages } from './install.ts';
import { names } from './names.ts';
import { opensslKind } from './openssl.ts';
import { passthroughKind } from './passthrough.ts';
import type { Converter, MountPeer, PeerKind, WritePeer } from './peer.ts';
import { plain } from './plain.ts';
import { securefsKind } from './securefs.ts';

/** The peers that are on this machine. */
export interface Peers {
  readonly ours: Ckptfs;
  readonly oursFuseNative: Ckptfs;
  readonly plain: WritePeer;
  readonly gocryptfs: (WritePeer & Converter) | undefined;
  readonly securefs: MountPeer | undefined;
  readonly passthrough: WritePeer | undefined;
  readonly age: Converter | undefined;
  readonly openssl: Converter | undefined;
  readonly gpg: Converter | undefined;
}

/**
 * Finds every peer, and has apt install what is missing.
 * @param directory for their keys
 * @param skip is told of each that is not to be had
 * @throws Error when ours does not run
 */
export async function findPeers(directory: string, skip: (line: string) => void): Promise<Peers> {
  function open<T>({ name, open }: PeerKind<T>, attempt: string): Promise<T> {
    const workshop = join(directory, `${name}${attempt}`);
    mkdirSync(workshop, { recursive: true });
    return open(workshop);
  }

  async function find<T>(kind: PeerKind<T>): Promise<T | undefined> {
    try {
      return await open(kind, '');
    } catch {
      try {
        await installPackages(kind.packages);
        return await open(kind, '-installed');
      } catch (error) {
        skip(`${kind.name} is not here: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    }
  }

  const ours = await open(ckptfsKind, '');
  return {
    ours,
    oursFuseNative: ours.variant(names.oursFuseNative, '--transport', 'fuse-native'),
    plain,
    gocryptfs: await find(gocryptfsKind),
    securefs: await find(securefsKind),
    passthrough: await find(passthroughKind),
    age: await find(ageKind),
    openssl: await find(opensslKind),
    gpg: await find(gpgKind),
  };
}

/** Returns the peers of a list that are on this machine. */
export function present<T>(...peers: readonly (T | undefined)[]): T[] {
  return peers.filter((peer) => peer !== undefined);
}
