/** A server cannot be used. Another one may be. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure';
  readonly reason: 'unreachable' | 'timeout' | 'refused' | 'certificate' | 'garbage';
  /** Whether the same server may do it a little later. */
  readonly mayPass: boolean;

  /** @param message completes "SERVER: " */
  constructor(reason: ServerFailure['reason'], message: string, mayPass: boolean) {
    super(message);
    this.reason = reason;
    this.mayPass = mayPass;
  }
}
