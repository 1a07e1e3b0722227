/**
 * Runs work with a signal that is aborted after a time, or when another one is. AbortSignal.timeout does not do for
 * that: where AbortSignal.any alone refers to such a signal, it may be collected, and then it never is aborted.
 * @param interrupted aborts the signal as well
 * @param work must settle soon once its signal is aborted
 * @throws what `work` throws
 */
export async function withinTime<T>(
  milliseconds: number,
  interrupted: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timer = setTimeout(abort, milliseconds);
  interrupted.addEventListener('abort', abort, { once: true });
  if (interrupted.aborted) abort();
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    interrupted.removeEventListener('abort', abort);
  }
}
