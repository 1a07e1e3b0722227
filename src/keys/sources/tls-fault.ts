/**
 * Tells by the name of its error why a TLS connection was not made, or has ended: the certificate of the server is not
 * accepted, the server refuses this client, or it does not speak the protocol. Returns undefined for anything that
 * another attempt may not meet.
 */
export function tlsFault(code: string): 'certificate' | 'refused' | 'garbage' | undefined {
  if (code.includes('ALERT')) return 'refused';
  if (/CERT|ALTNAME|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|UNSPECIFIED/.test(code))
    return 'certificate';
  return /^(?:HPE_|ERR_SSL_|EPROTO)/.test(code) ? 'garbage' : undefined;
}
