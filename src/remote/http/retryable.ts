/** A server that may answer rightly a little later, or a connection that was lost. */
export class Retryable extends Error {
  override readonly name = 'Retryable';
  /** How long the server asks to be left alone. */
  readonly pauseMilliseconds: number;

  constructor(message: string, { cause, pauseMilliseconds = 0 }: { cause?: unknown; pauseMilliseconds?: number } = {}) {
    super(message, { cause });
    this.pauseMilliseconds = pauseMilliseconds;
  }
}
