import { closeSync } from 'node:fs';
import net from 'node:net';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { REPORT_FD } from '../handover/descriptors.ts';
import { sendReport } from '../handover/reports.ts';
import type { Daemon } from './daemon.ts';

/**
 * Tells the process that started this daemon that the mount serves. If it is gone, the mount is ended: it would be one
 * that no process knows of. With `endWithCaller` the mount is detached when that process ends later.
 */
export async function reportReady(
  daemon: Daemon,
  { endWithCaller }: DaemonConfig,
  warnings: readonly string[],
): Promise<void> {
  const { mountPoint, device, imageId } = daemon.mount;
  try {
    sendReport({ ok: true, pid: process.pid, mountPoint, device, imageId, warnings });
  } catch {
    await daemon.requestEnd('the process that asked for this mount is gone');
  }
  if (!endWithCaller) return closeSync(REPORT_FD);
  const caller = new net.Socket({ fd: REPORT_FD, readable: true, writable: false });
  caller.on('error', () => undefined);
  caller.on('close', () => void daemon.detach('the process that asked for this mount has ended'));
  caller.resume();
  caller.unref();
}
