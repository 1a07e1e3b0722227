import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The paths of what a process has open now; none where the process is gone. */
export function filesOpenIn(pid: number | undefined): string[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
  } catch {
    // The process, or one of its descriptors, went away meanwhile.
    return [];
  }
}
