/** What a certificate is to be used for: to encrypt an image key for its owner, or to tell who signed an image. */
export type CertificatePurpose = 'recipient' | 'signer';

/** How certificates are checked. Without `caFiles` only what a certificate says of itself is. */
export interface CertificateChecks {
  /** Files of the certificates that are trusted: authorities, or single ones that are trusted by themselves. */
  readonly caFiles?: readonly string[];
  /** Files of lists of revoked certificates. Then there must be a valid list of each issuer in the chain. */
  readonly crlFiles?: readonly string[];
  /**
   * The address of the responder that is asked about the certificate, by http or https. Or `auto`, which asks those
   * that the certificates of the chain name; the first certificate must name one. Or `off`.
   * @default off
   */
  readonly ocsp?: string;
  /** How long the responders have for their answers, all together. @default 10,000 */
  readonly ocspMilliseconds?: number;
  /** The time to check for. @default now */
  readonly at?: Date;
  /** Whether findings that a user may override are returned, in place of an error. */
  readonly force?: boolean;
}
