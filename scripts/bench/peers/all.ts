import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from '../options.ts';
import { ageKind } from './age.ts';
import { beforeKind, type Ckptfs, cipherKind, ckptfsKind, uringKind } from './ckptfs.ts';
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
  readonly oursGcm: Ckptfs | undefined;
  readonly oursUring: Ckptfs | undefined;
  /** These have every large file read past the page cache, whatever reads it. */
  readonly oursDirect: Ckptfs;
  readonly oursGcmDirect: Ckptfs | undefined;
  /** The ckptfs of `--before`. */
  readonly before: Ckptfs | undefined;
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
 * @param options what is compared
 * @param skip is told of each that is not to be had
 * @throws Error when ours does not run, or the earlier one
 */
export async function findPeers(
  directory: string,
  options: Pick<Options, 'before' | 'targets' | 'peers'>,
  skip: (line: string) => void,
): Promise<Peers> {
  function open<T>({ name, open }: PeerKind<T>, attempt: string): Promise<T> {
    const workshop = join(directory, `${name}${attempt}`);
    mkdirSync(workshop, { recursive: true });
    return open(workshop);
  }

  async function find<T>(kind: PeerKind<T>): Promise<T | undefined> {
    if (options.peers?.includes(kind.name) === false) return undefined;
    try {
      return await open(kind, '');
    } catch (reason) {
      try {
        if (kind.packages.length === 0) throw reason;
        await installPackages(kind.packages);
        return await open(kind, '-installed');
      } catch (error) {
        skip(`${kind.name} is not here: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    }
  }

  /** Finds a peer that no target compares ckptfs with. */
  const findOther = async <T>(kind: PeerKind<T>): Promise<T | undefined> => (options.targets ? undefined : find(kind));

  async function openBefore(): Promise<Ckptfs | undefined> {
    if (options.before !== undefined) return open(beforeKind(options.before), '');
    skip(`${names.before} is not here: --before names one`);
    return undefined;
  }

  const ours = await open(ckptfsKind, '');
  const oursGcm = await find(cipherKind(ours, names.oursGcm, 'aes-256-gcm'));
  const direct = ['--page-files', 'direct'] as const;
  return {
    ours,
    oursFuseNative: ours.variant(names.oursFuseNative, '--transport', 'fuse-native'),
    oursGcm,
    oursDirect: ours.variant(names.oursDirect, ...direct),
    oursGcmDirect: oursGcm?.variant(names.oursGcmDirect, ...direct),
    oursUring: await find(uringKind(ours)),
    before: await openBefore(),
    plain,
    gocryptfs: await find(gocryptfsKind),
    securefs: await findOther(securefsKind),
    passthrough: await findOther(passthroughKind),
    age: await findOther(ageKind),
    openssl: await findOther(opensslKind),
    gpg: await findOther(gpgKind),
  };
}

/** Returns the peers of a list that are on this machine. */
export function present<T>(...peers: readonly (T | undefined)[]): T[] {
  return peers.filter((peer) => peer !== undefined);
}
