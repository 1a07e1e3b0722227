import net from 'node:net';
import { counterNames } from '../base/counters.ts';
import { type DaemonStatus, statusQuestion } from './control.ts';

const CONNECT_TIMEOUT_MILLISECONDS = 2000;
const ANSWER_TIMEOUT_MILLISECONDS = 5000;
const MAX_ANSWER = 65536;

/** A connection to a daemon. */
export interface DaemonLink {
  /** What it says of itself, or undefined when it says nothing that makes sense in time. Ask once. */
  status(): Promise<DaemonStatus | undefined>;
  /** Waits until the daemon has wiped what it had; false when that takes longer. */
  ended(milliseconds: number): Promise<boolean>;
  close(): void;
}

/** Connects to the socket of a daemon; undefined when none listens. */
export function callDaemon(path: string): Promise<DaemonLink | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const giveUp = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MILLISECONDS, giveUp);
    socket.once('error', giveUp);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeListener('error', giveUp);
      resolve(linkOver(socket));
    });
  });
}

function linkOver(socket: net.Socket): DaemonLink {
  const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
  socket.on('error', () => socket.destroy());
  let text = '';
  const answered = new Promise<true>((resolve) => {
    socket.setEncoding('utf8').on('data', (part: string) => {
      if (text.length < MAX_ANSWER) text += part;
      if (text.includes('\n')) resolve(true);
    });
  });
  return {
    status: async () => {
      socket.write(statusQuestion);
      await within(Promise.race([closed, answered]), ANSWER_TIMEOUT_MILLISECONDS);
      return parseStatus(text);
    },
    ended: (milliseconds) => within(closed, milliseconds),
    close: () => socket.destroy(),
  };
}

async function within(event: Promise<true>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The socket may be anybody's: nothing in its answer is believed to have the right shape. */
function parseStatus(text: string): DaemonStatus | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isStatus(value) ? value : undefined;
}

function isStatus(value: unknown): value is DaemonStatus {
  if (!isRecord(value)) return false;
  const { counters } = value;
  return (
    ['mountPoint', 'device', 'location', 'imageId', 'transport'].every((name) => typeof value[name] === 'string') &&
    ['pid', 'workers', 'uptimeSeconds'].every((name) => Number.isFinite(value[name])) &&
    typeof value['scratch'] === 'boolean' &&
    isRecord(counters) &&
    counterNames.every((name) => Number.isFinite(counters[name]))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
