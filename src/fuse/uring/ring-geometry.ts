import { CkptfsError } from '../../base/errors.ts';
import {
  IORING_FEAT_SINGLE_MMAP,
  io_cqring_offsets,
  io_sqring_offsets,
  io_uring_cqe,
  io_uring_params,
  io_uring_sqe,
} from './io-uring-abi.ts';

/** Where in the memory that a ring shares with the kernel its fields are: all in bytes from the beginning. */
export interface RingGeometry {
  /** Bytes to map of the rings, and of the entries that are submitted. */
  readonly ringsLength: number;
  readonly entriesLength: number;
  readonly submissionTail: number;
  /** The numbers of the entries that are submitted, in order. */
  readonly submissionArray: number;
  readonly completionHead: number;
  readonly completionTail: number;
  readonly completions: number;
  readonly submissionEntries: number;
  readonly completionEntries: number;
}

/**
 * Reads struct io_uring_params as io_uring_setup(2) has filled it.
 * @throws CkptfsError `missing-feature` when the kernel is older than 5.4, or its answer makes no sense
 */
export function ringGeometry(parameters: DataView): RingGeometry {
  const field = (at: number): number => parameters.getUint32(at, true);
  const submission = (at: number): number => field(io_uring_params.sq_off + at);
  const completion = (at: number): number => field(io_uring_params.cq_off + at);
  const submissionEntries = field(io_uring_params.sq_entries);
  const completionEntries = field(io_uring_params.cq_entries);
  const submissionArray = submission(io_sqring_offsets.array);
  const completions = completion(io_cqring_offsets.cqes);
  const fields = {
    submissionTail: submission(io_sqring_offsets.tail),
    submissionArray,
    completionHead: completion(io_cqring_offsets.head),
    completionTail: completion(io_cqring_offsets.tail),
    completions,
  };
  const isPlausible =
    (field(io_uring_params.features) & IORING_FEAT_SINGLE_MMAP) !== 0 &&
    isPowerOfTwo(submissionEntries) &&
    isPowerOfTwo(completionEntries) &&
    Object.values(fields).every((at) => at % 4 === 0);
  if (!isPlausible) throw unknownRing();
  return {
    ...fields,
    submissionEntries,
    completionEntries,
    ringsLength: Math.max(
      submissionArray + submissionEntries * 4,
      completions + completionEntries * io_uring_cqe.sizeof,
    ),
    entriesLength: submissionEntries * io_uring_sqe.sizeof,
  };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && value <= 65_536 && (value & (value - 1)) === 0;
}

function unknownRing(): CkptfsError {
  return new CkptfsError('missing-feature', 'the kernel has an io_uring of an unknown kind', {
    data: { feature: 'io-uring' },
  });
}
