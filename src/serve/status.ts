import fs from 'node:fs';
import { type MountInfo, readMounts } from '../fuse/mountinfo.ts';
import { controlPath, type DaemonStatus, deviceOfControl } from './control.ts';
import { callDaemon } from './control-client.ts';
import { isOwn, isScratch } from './own-mounts.ts';
import { readableStateDirectories } from './state-directory.ts';

/**
 * - `serving`: mounted here, and its daemon answers.
 * - `elsewhere`: its daemon answers, but nothing of it is mounted where this process looks: detached lazily, or in another namespace.
 * - `dead`: mounted here, but no daemon answers: it was killed. `ckptfs umount` clears it.
 * - `unknown`: mounted here by another user, whose daemons this process may not ask.
 */
export type MountState = 'serving' | 'elsewhere' | 'dead' | 'unknown';

export interface MountStatus {
  readonly state: MountState;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  readonly scratch: boolean;
  /** What mount tables name as the source; of a daemon that answers, the image. */
  readonly source: string;
  /** Of `serving` and `elsewhere`. */
  readonly daemon: DaemonStatus | undefined;
}

/** The mounts of ours on this host, as far as this user can see them. Never looks at a mount itself. */
export async function listMounts(): Promise<MountStatus[]> {
  const daemons = await answeringDaemons();
  const mounts = (await readMounts()).filter(isOwn);
  const visible = new Set(mounts.map(({ device }) => device));
  const elsewhere = [...daemons.values()].filter(({ device }) => !visible.has(device));
  return [
    ...mounts.map((mount) => statusOf(mount, daemons.get(mount.device))),
    ...elsewhere.map((daemon): MountStatus => {
      const { mountPoint, device, scratch, location } = daemon;
      return { state: 'elsewhere', mountPoint, device, scratch, source: location, daemon };
    }),
  ];
}

function statusOf(mount: MountInfo, daemon: DaemonStatus | undefined): MountStatus {
  const { mountPoint, device, source } = mount;
  const state = daemon !== undefined ? 'serving' : mayAskDaemonOf(mount) ? 'dead' : 'unknown';
  return { state, mountPoint, device, scratch: isScratch(mount), source: daemon?.location ?? source, daemon };
}

/** FUSE names who mounted as `user_id`; an overlay of ours is always root's. */
function mayAskDaemonOf({ options }: MountInfo): boolean {
  const user = process.geteuid?.() ?? 0;
  const owner = options.find((option) => option.startsWith('user_id='))?.slice('user_id='.length);
  return user === 0 || Number(owner ?? 0) === user;
}

async function answeringDaemons(): Promise<Map<string, DaemonStatus>> {
  const found = readableStateDirectories().flatMap((directory) =>
    fs.readdirSync(directory).flatMap((name) => {
      const device = deviceOfControl(name);
      return device === undefined ? [] : [{ device, path: controlPath(directory, device) }];
    }),
  );
  const answers = await Promise.all(found.map(async ({ device, path }) => [device, await ask(path)] as const));
  // Only the daemon of a mount that says so itself: another's socket may bear any name.
  return new Map(answers.flatMap(([device, status]) => (status?.device === device ? [[device, status]] : [])));
}

async function ask(path: string): Promise<DaemonStatus | undefined> {
  const daemon = await callDaemon(path);
  try {
    return await daemon?.status();
  } finally {
    daemon?.close();
  }
}
