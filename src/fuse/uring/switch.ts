import { readFileSync } from 'node:fs';
import { CkptfsError } from '../../base/errors.ts';

/** The parameter by which root lets file systems use io_uring. ckptfs only reads it. */
export const RING_SWITCH = '/sys/module/fuse/parameters/enable_uring';

/** Whether root has switched FUSE over io_uring on; `absent` where the kernel has none, or does not tell. */
export type RingSwitch = 'on' | 'off' | 'absent';

export function readRingSwitch(): RingSwitch {
  try {
    return ringSwitchOf(readFileSync(RING_SWITCH, 'utf8'));
  } catch {
    return 'absent';
  }
}

/** @param text of the file {@link RING_SWITCH} */
export function ringSwitchOf(text: string): RingSwitch {
  return text.trim() === 'Y' ? 'on' : 'off';
}

/** @throws CkptfsError `missing-feature` when file systems cannot use io_uring here */
export function checkRings(): void {
  const state = readRingSwitch();
  if (state === 'on') return;
  throw state === 'off' ? ringsAreOff() : noRings();
}

function ringsAreOff(): CkptfsError {
  return new CkptfsError('missing-feature', 'FUSE over io_uring is switched off on this machine', {
    path: RING_SWITCH,
    data: { feature: 'fuse-io-uring-switch' },
  });
}

function noRings(): CkptfsError {
  return new CkptfsError('missing-feature', 'this kernel has no FUSE over io_uring', {
    path: RING_SWITCH,
    data: { feature: 'fuse-io-uring' },
  });
}
