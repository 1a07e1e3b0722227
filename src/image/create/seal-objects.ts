import { DIGEST_SIZE } from '../../format/manifest.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { geometryOf } from '../objects/image-context.ts';
import type { JobSetup } from '../workers/worker-messages.ts';
import { type Cancellation, type Progress, runTasks } from '../workers/worker-pool.ts';
import { type Plan, segmentsInGroup } from './plan.ts';
import type { GroupSetup, SealResult, SealTask } from './seal-worker.ts';

export interface SealObjectsOptions extends Cancellation {
  readonly jobs?: number;
  readonly onProgress?: (progress: Progress) => void;
  /** Ids of objects of the plan that the store has already. */
  readonly existing?: ReadonlySet<string>;
}

/**
 * Fills all objects of a plan on worker threads, and returns the tag-page digests of each.
 * @throws CkptfsError `io`, `interrupted`; what the workers throw
 */
export async function sealObjects<S extends GroupSetup & JobSetup>(
  store: WritableStore,
  plan: Plan,
  setup: S,
  { jobs, onProgress, existing = new Set(), signal, onCancellable }: SealObjectsOptions,
): Promise<Buffer[]> {
  const geometry = geometryOf(setup);
  const digests = plan.objects.map(({ chunks }) => Buffer.alloc(geometry.groupsFor(chunks) * DIGEST_SIZE));
  let doneBytes = 0;
  function* tasks(): Generator<SealTask> {
    for (const [object, planned] of plan.objects.entries()) {
      const id = planned.id.toString('hex');
      const file = existing.has(id) ? store.openObjectForWriting(id) : store.createObject(id);
      try {
        file.truncate(geometry.objectSize(planned.chunks));
      } finally {
        file.close();
      }
      for (let group = 0; group < geometry.groupsFor(planned.chunks); group++) {
        yield { objectId: planned.id, object, group, segments: segmentsInGroup(planned, group, geometry) };
      }
    }
  }
  await runTasks<SealTask, SealResult, S>({
    setup,
    tasks: tasks(),
    work: { bytes: plan.totalBytes, pieces: plan.objects.reduce((sum, { segments }) => sum + segments.length, 0) },
    jobs,
    signal,
    onCancellable,
    onResult: (digest, task) => {
      digests[task.object]?.set(digest, task.group * DIGEST_SIZE);
      doneBytes += task.segments.reduce((sum, segment) => sum + segment.length, 0);
      onProgress?.({ doneBytes, totalBytes: plan.totalBytes });
    },
  });
  return digests;
}

/** Makes the objects of a plan durable, and their names. @throws CkptfsError `io` */
export function makeObjectsDurable(store: WritableStore, plan: Plan): void {
  for (const { id } of plan.objects) {
    const file = store.openObjectForWriting(id.toString('hex'));
    try {
      file.sync();
    } finally {
      file.close();
    }
  }
  store.syncNames();
}
