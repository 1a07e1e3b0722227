/**
 * Milliseconds after which a command that was started, or an event that is waited for, is taken to hang: none takes as
 * long on an idle machine by far, and this suite must pass on a loaded one. It is less than the bound of a whole test,
 * so that a test which hangs fails with the name of what it waited for.
 */
export const PATIENCE = 300_000;

/** Waits for an event. @throws Error that names it when it does not come within {@link PATIENCE} */
export async function inTime<T>(what: string, event: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    clearTimeout(timer);
  }
}
