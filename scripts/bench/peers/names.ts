/** The competitors as tables, plots and targets call them. */
export const names = {
  ours: 'ckptfs',
  oursFuseNative: 'ckptfs (fuse-native)',
  plain: 'plain directory',
  gocryptfs: 'gocryptfs',
  securefs: 'securefs',
  passthrough: 'passthrough_ll',
  age: 'age',
  openssl: 'openssl',
  gpg: 'gpg',
} as const;
