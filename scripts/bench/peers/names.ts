/** The competitors as tables, plots and targets call them. */
export const names = {
  ours: 'ckptfs',
  oursFuseNative: 'ckptfs (fuse-native)',
  oursGcm: 'ckptfs (aes-256-gcm)',
  oursUring: 'ckptfs (io_uring)',
  oursDirect: 'ckptfs (direct)',
  oursGcmDirect: 'ckptfs (aes-256-gcm direct)',
  before: 'an earlier ckptfs',
  plain: 'plain directory',
  gocryptfs: 'gocryptfs',
  securefs: 'securefs',
  passthrough: 'passthrough_ll',
  age: 'age',
  openssl: 'openssl',
  gpg: 'gpg',
  emptyNode: 'an empty Node.js',
} as const;
