/** What a TPM answers other than success (TPM 2.0 Library Specification, part 2, §6.6). */
export class TpmRefusal extends Error {
  override readonly name = 'TpmRefusal';
  /** As the TPM sent it. */
  readonly code: number;

  constructor(code: number) {
    super(`the TPM answers 0x${code.toString(16)}`);
    this.code = code;
  }

  /** Whether it is about a handle, a parameter or a session of the command, and not about the state of the TPM. */
  get isOfCommand(): boolean {
    return (this.code & FORMAT_ONE) !== 0;
  }

  /** Whether the same command may work if it is sent again. */
  get isPassing(): boolean {
    return PASSING.includes(this.code);
  }
}

const FORMAT_ONE = 0x080;
/** Leaves out which handle, parameter or session a code of format one is about. */
const FORMAT_ONE_MASK = 0x0bf;

/** TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY. */
const PASSING: readonly number[] = [0x908, 0x90a, 0x922];

type Reason = 'refused' | 'denied' | 'wrong-pin' | 'pin-locked';

interface Meaning {
  readonly reason: Reason;
  readonly problem: string;
}

const meanings: Readonly<Record<number, Meaning>> = {
  // AUTH_FAIL, BAD_AUTH
  142: { reason: 'wrong-pin', problem: 'the authorization value is wrong; the TPM counts wrong ones' },
  162: { reason: 'wrong-pin', problem: 'the authorization value is wrong' },
  // POLICY_FAIL, PCR_CHANGED
  157: { reason: 'denied', problem: 'the registers (PCRs) of the TPM are not as they were when this was sealed' },
  296: { reason: 'denied', problem: 'the registers (PCRs) of the TPM changed meanwhile' },
  // LOCKOUT
  2337: {
    reason: 'pin-locked',
    problem: 'the TPM is locked after wrong authorization values, for a time that it sets',
  },
  // OBJECT_MEMORY, SESSION_MEMORY, MEMORY
  2306: { reason: 'refused', problem: 'the TPM has no room for another object' },
  2307: { reason: 'refused', problem: 'the TPM has no room for another session' },
  2308: { reason: 'refused', problem: 'the TPM has no memory left' },
  // INITIALIZE
  256: { reason: 'refused', problem: 'the TPM was not started (TPM2_Startup)' },
};

/** Says what a refusal means. */
export function meaningOf({ code, isOfCommand, message }: TpmRefusal): Meaning {
  const known = meanings[isOfCommand ? code & FORMAT_ONE_MASK : code];
  return known ?? { reason: 'refused', problem: message };
}
