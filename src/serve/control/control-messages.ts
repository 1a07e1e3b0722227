import { counterNames } from '../../base/counters.ts';
import { isPlainError } from '../../base/errors.ts';
import type { DaemonEvent, DaemonStatus } from './control.ts';

/** Whether a message of a socket, which may be anybody's, has the shape of a daemon's answer. */
export function isStatus(value: unknown): value is DaemonStatus {
  if (!isRecord(value)) return false;
  const { counters } = value;
  return (
    (value['state'] === 'serving' || value['state'] === 'sealing') &&
    ['mountPoint', 'device', 'location', 'imageId', 'transport'].every((name) => typeof value[name] === 'string') &&
    ['workers', 'uptimeSeconds'].every((name) => Number.isFinite(value[name])) &&
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

/** Whether a message has the shape of what a daemon says by itself. */
export function isEvent(value: unknown): value is DaemonEvent {
  if (!isRecord(value)) return false;
  const { event, error } = value;
  return event === 'sealing' || event === 'sealed' || (event === 'unsealed' && isPlainError(error));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
