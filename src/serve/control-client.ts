import fs from 'node:fs';
import net from 'node:net';
import { counterNames } from '../base/counters.ts';
import { errorCodes, type PlainError } from '../base/errors.ts';
import { controlNames, type DaemonEvent, type DaemonStatus, statusQuestion } from './control.ts';

const CONNECT_TIMEOUT_MILLISECONDS = 2000;
const ANSWER_TIMEOUT_MILLISECONDS = 5000;
const MAX_LINE = 65536;

/** A connection to a daemon. */
export interface DaemonLink {
  /** What it says of itself, or undefined when it says nothing that makes sense in time. Ask once. */
  status(): Promise<DaemonStatus | undefined>;
  /** Waits until the daemon has wiped what it had; false when it goes on in silence for so long. */
  ended(milliseconds: number): Promise<boolean>;
  /** What the daemon announced last. */
  lastEvent(): DaemonEvent | undefined;
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
      socket.removeListener('timeout', giveUp);
      resolve(linkOver(socket));
    });
  });
}

/** Removes what daemons of a device that were killed left in this user's own state directory, or else it would pile up. */
export async function removeStaleSockets(directory: string, device: string): Promise<void> {
  for (const name of controlNames(directory)) {
    if (name.device !== device) continue;
    const daemon = await callDaemon(name.path);
    if (daemon === undefined) fs.rmSync(name.path, { force: true });
    else daemon.close();
  }
}

function linkOver(socket: net.Socket): DaemonLink {
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      isClosed = true;
      resolve();
    });
  });
  socket.on('error', () => socket.destroy());
  let event: DaemonEvent | undefined;
  let onAnswer: (answer: unknown) => void = () => undefined;
  const answered = new Promise<unknown>((resolve) => {
    onAnswer = resolve;
  });
  onLine(socket, (line) => {
    const value = parsed(line);
    if (isEvent(value)) event = value;
    else onAnswer(value);
  });
  return {
    status: async () => {
      socket.write(statusQuestion);
      const answer = await Promise.race([answered, closed, silence(socket, ANSWER_TIMEOUT_MILLISECONDS)]);
      return isStatus(answer) ? answer : undefined;
    },
    ended: async (milliseconds) => {
      await Promise.race([closed, silence(socket, milliseconds)]);
      return isClosed;
    },
    lastEvent: () => event,
    close: () => socket.destroy(),
  };
}

/** Waits until nothing was heard for so long. */
async function silence(socket: net.Socket, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    socket.setTimeout(milliseconds, resolve);
  });
}

/** Who says more than a line can have is no daemon. */
function onLine(socket: net.Socket, hear: (line: string) => void): void {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    const lines = `${text}${part}`.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) hear(line);
    if (text.length > MAX_LINE) socket.destroy();
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The socket may be anybody's: nothing in its answer is believed to have the right shape. */
function isStatus(value: unknown): value is DaemonStatus {
  if (!isRecord(value)) return false;
  const { counters } = value;
  return (
    (value['state'] === 'serving' || value['state'] === 'sealing') &&
    ['mountPoint', 'device', 'location', 'imageId', 'transport'].every((name) => typeof value[name] === 'string') &&
    ['pid', 'workers', 'uptimeSeconds'].every((name) => Number.isFinite(value[name])) &&
    ['scratch', 'write'].every((name) => typeof value[name] === 'boolean') &&
    isRecord(counters) &&
    counterNames.every((name) => Number.isFinite(counters[name])) &&
    isServedOptions(value['options'])
  );
}

function isServedOptions(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['allowOther', 'allowRoot', 'noExec'].every((name) => typeof value[name] === 'boolean') &&
    typeof value['fsName'] === 'string' &&
    Number.isFinite(value['cacheSize']) &&
    (value['logFile'] === undefined || typeof value['logFile'] === 'string')
  );
}

function isEvent(value: unknown): value is DaemonEvent {
  if (!isRecord(value)) return false;
  const { event, error } = value;
  return event === 'sealing' || event === 'sealed' || (event === 'unsealed' && isPlainError(error));
}

function isPlainError(value: unknown): value is PlainError {
  if (!isRecord(value)) return false;
  const isOptionalText = (name: string): boolean => value[name] === undefined || typeof value[name] === 'string';
  return (
    errorCodes.some((code) => code === value['code']) &&
    typeof value['message'] === 'string' &&
    ['advice', 'path', 'stack'].every(isOptionalText)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
