import { callDaemon, type DaemonLink } from '../../src/serve/control/control-client.ts';
import type { DaemonStatus } from '../../src/serve/control/control-messages.ts';
import type { ControlName } from '../../src/serve/control/control-names.ts';

/** The user id of the tests, and so of the daemons that they play. */
export const OWN_USER = process.geteuid?.() ?? 0;

/** Returns what the daemon of a writable mount answers. */
export function servingStatus(device: string): DaemonStatus {
  return {
    state: 'serving',
    mountPoint: '/mnt/größe\n',
    device,
    location: '/enc',
    imageId: '00'.repeat(16),
    transport: 'kernel',
    workers: 2,
    scratch: false,
    write: true,
    uptimeSeconds: 3,
    key: { locked: false },
    counters: {
      requests: 1,
      bytesServed: 2,
      bytesServedAhead: 0,
      storedBytesRead: 3,
      cacheHits: 4,
      cacheMisses: 5,
      authenticationFailures: 6,
    },
    options: {
      allowOther: false,
      allowRoot: true,
      noExec: false,
      fsName: '/enc',
      cacheSize: 65536,
      pageFiles: 'auto',
      logFile: '/log',
      logFormat: 'text',
    },
  };
}

/** Connects to a daemon that must be there. */
export function called(name: ControlName): DaemonLink {
  const call = callDaemon(name, OWN_USER);
  if (typeof call !== 'object') throw new Error(`no daemon listens: ${call}`);
  return call;
}
