import { readRingSwitch } from '../../../src/fuse/uring/switch.ts';
import type { Feature } from './requirements.ts';

/**
 * Whether root has let file systems use io_uring on this machine. Then this run is the one of scripts/test that tests
 * just that: the other transports have another.
 */
export const isOverRing = readRingSwitch() === 'on';

/** What serves a mount here that is only read, and for which nothing else was asked. */
export const usualTransport = isOverRing ? 'io-uring' : 'kernel';

interface TestedTransport {
  readonly transport: 'kernel' | 'io-uring' | 'fuse-native';
  readonly needs: readonly Feature[];
}

/** The transports that this run tests. */
export const testedTransports: readonly TestedTransport[] = isOverRing
  ? [{ transport: 'io-uring', needs: [] }]
  : [
      { transport: 'kernel', needs: [] },
      { transport: 'fuse-native', needs: ['fuseNative'] },
    ];
