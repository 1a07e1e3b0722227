import { constants } from 'node:os';
import { Deadline } from '../../base/deadline.ts';
import { keepOnProcessors } from '../../base/linux/affinity.ts';
import { discardPages, mapPages } from '../../base/linux/memory.ts';
import type { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import type { Connection } from '../device/connection.ts';
import { PollingToken, serve } from '../device/device-loop.ts';
import { FUSE_MIN_READ_BUFFER } from '../protocol/abi.ts';
import { DeviceQueue } from './device-queue.ts';
import { QueueRing, type WatchedDevice } from './queue-ring.ts';
import { queuesOf } from './queues.ts';
import { RingAgreement } from './ring-agreement.ts';
import type { RingEntry } from './ring-entry.ts';

const { EIO } = constants.errno;

/** How long the threads of a mount wait for one another before they serve the device instead. */
const AGREEMENT_MILLISECONDS = 20_000;

/** How a mount is to be served over io_uring; the same for all its threads. */
export interface RingPlan {
  /** The memory of a {@link RingAgreement}. */
  readonly memory: SharedArrayBuffer;
  /** The number of threads that have queues: the first so many that call {@link serveRings}. */
  readonly threads: number;
  /** See {@link countQueues}. */
  readonly queues: number;
  /** Bytes of the largest READ, see {@link capacityOf}. */
  readonly capacity: number;
}

/** What a connection must be made with here. */
export interface RingConnectionOptions {
  readonly maxTransfer?: number;
  readonly replyMemory?: Region;
  readonly wantsRing?: boolean;
  readonly onInit?: (overRing: boolean) => void;
}

/** What serves a mount, in one thread. */
export interface RingService {
  connect(options: RingConnectionOptions): Connection;
  /** Is called by one thread of the mount when FUSE_INIT was answered and all threads serve. */
  onServing(overRing: boolean): void;
  /** Is told, by one thread of the mount, why it is served by the device. */
  onRefusal(why: string): void;
  /** Is told why this thread cannot take part. */
  onFailure(error: unknown): void;
}

/**
 * Serves an open /dev/fuse over io_uring until the mount is gone; or by the device itself where the kernel or one of
 * the threads cannot. Like {@link serve}, but all threads of the mount must call it.
 * @throws CkptfsError `internal` when the kernel fails in an unexpected way
 */
export function serveRings(fd: number, plan: RingPlan, service: RingService, token = new PollingToken()): void {
  const agreement = new RingAgreement(plan.memory, plan.threads);
  const thread = agreement.join();
  const member = { fd, plan, service, agreement, deadline: Deadline.after(AGREEMENT_MILLISECONDS) };
  const queues = queuesOf(thread, plan.threads, plan.queues);
  const ended = thread === 0 ? lead(member, queues) : follow(member, queues);
  if (ended === 'gone') return;
  serve(fd, service.connect({ onInit: () => service.onServing(false) }), token);
}

/** Says that a thread which was to serve over io_uring will not: otherwise the others would wait for it. */
export function abandonRings({ memory, threads }: RingPlan): void {
  new RingAgreement(memory, threads).fail();
}

interface Member {
  readonly fd: number;
  readonly plan: RingPlan;
  readonly service: RingService;
  readonly agreement: RingAgreement;
  readonly deadline: Deadline;
}

/** Whether the mount was served to its end, or the device is to be served. */
type Ended = 'gone' | 'by-device';

/** Answers FUSE_INIT, serves the first thread's queues and, as long as the mount is there, the device as well. */
function lead(member: Member, queues: readonly number[]): Ended {
  const { fd, plan, service, agreement, deadline } = member;
  const device = attempt(member, () => DeviceQueue.open(fd, plan.capacity));
  const ring = device && attempt(member, () => prepare(member, queues));
  try {
    if (!agreement.allPrepared(deadline) || device === undefined || ring === undefined) {
      agreement.decide(false);
      service.onRefusal('not all threads could make a ring');
      return 'by-device';
    }
    let agreed: boolean | undefined;
    const onInit = (overRing: boolean): void => {
      agreed = overRing;
    };
    const connection = service.connect({ replyMemory: device.replyMemory, wantsRing: true, onInit });
    while (agreed === undefined) if (device.answer(fd, connection) === 'gone') return end(member);
    if (!agreed) return giveUp(member, 'the kernel does not offer it');
    agreement.decide(true);
    if (!registerAll(member, ring)) {
      ring.refuse();
      return giveUp(member, 'the kernel refuses it');
    }
    service.onServing(true);
    return serveQueues(member, ring, { fd: device.fd, read: () => device.read(connection) });
  } finally {
    ring?.close();
    device?.close();
  }
}

/** Serves the queues of another thread than the first. */
function follow(member: Member, queues: readonly number[]): Ended {
  const { agreement, deadline } = member;
  if (queues.length === 0) {
    agreement.decision(deadline);
    return 'by-device';
  }
  const ring = attempt(member, () => prepare(member, queues));
  try {
    if (agreement.decision(deadline) && ring !== undefined) {
      if (registerAll(member, ring)) return serveQueues(member, ring);
    } else agreement.fail();
    return 'by-device';
  } finally {
    ring?.close();
  }
}

function prepare({ fd, plan, agreement }: Member, queues: readonly number[]): QueueRing {
  const ring = QueueRing.open(fd, queues, plan.capacity);
  agreement.prepared();
  return ring;
}

/** Returns undefined when `work` fails, after it was reported: then no thread uses a ring. */
function attempt<T>({ agreement, service }: Member, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    agreement.fail();
    service.onFailure(error);
    return undefined;
  }
}

function giveUp({ agreement, service }: Member, why: string): Ended {
  agreement.decide(false);
  service.onRefusal(why);
  service.onServing(false);
  return 'by-device';
}

function end({ agreement }: Member): Ended {
  agreement.decide(false);
  return 'gone';
}

/** Offers the queues of this thread to the kernel. Returns whether it has those of all threads. */
function registerAll({ agreement }: Member, ring: QueueRing): boolean {
  if (ring.register()) agreement.registered();
  else agreement.fail();
  return agreement.allRegistered();
}

function serveQueues({ plan, service }: Member, ring: QueueRing, device?: WatchedDevice): Ended {
  keepOnProcessors(ring.entries.map(({ queue }) => queue));
  const connections = ring.entries.map(({ replyMemory }) => service.connect({ replyMemory }));
  const request = mapPages(plan.capacity + FUSE_MIN_READ_BUFFER);
  let longest = 0;
  const answer = (entry: RingEntry, index: number): void => {
    const length = entry.copyRequest(request);
    longest = Math.max(longest, length);
    const replyLength = length === 0 ? 0 : (connections[index]?.handle(request, length) ?? 0);
    if (replyLength > 0) entry.answer(replyLength);
    else entry.answerEmpty(length === 0 ? EIO : 0);
  };
  try {
    ring.serve(answer, device);
    return 'gone';
  } finally {
    wipe(request.bytes, 0, longest);
    discardPages(request);
  }
}
