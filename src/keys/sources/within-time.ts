/**
 * Runs work with a signal that is aborted after a time, or when another one is. AbortSignal.timeout does not do for
 * that: where AbortSignal.any alone refers to such a signal, it may be collected, and then it never is aborted.
 * @param interrupted aborts the signal as well, a little later if `graceMilliseconds` says so
 * @param work must settle soon once its signal is aborted
 * @throws what `work` throws
 */
export async function withinTime<T>(
  milliseconds: number,
  interrupted: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  graceMilliseconds = 0,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timers = [setTimeout(abort, milliseconds)];
  const onInterrupt = (): void => {
    if (graceMilliseconds === 0) abort();
    else timers.push(setTimeout(abort, graceMilliseconds));
  };
  interrupted.addEventListener('abort', onInterrupt, { once: true });
  if (interrupted.aborted) onInterrupt();
  try {
    return await work(controller.signal);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    interrupted.removeEventListener('abort', onInterrupt);
  }
}
