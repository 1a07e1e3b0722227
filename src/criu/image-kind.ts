/** How an image file is protected. */
export type ImageKind =
  /** It is one of {@link SealedLayout}, decrypted as a whole. */
  | SealedLayout
  /** Memory pages. */
  | 'pages'
  /** A file that had no name: an entry, then records or data in clear. */
  | 'ghost'
  /** Records of 4136 bytes. */
  | 'padded-records'
  /** In clear, whatever it has. */
  | 'clear'
  /** A name that CRIU itself does not use. */
  | 'unknown';

/** What follows the magics of an image that is decrypted as a whole. */
export type SealedLayout =
  | 'entries'
  | 'pagemap'
  | 'pipe-data'
  | 'socket-queues'
  | 'tcp-stream'
  | 'semaphores'
  | 'message-queues'
  | 'bpf-maps'
  | 'netlink-messages';

const SUFFIX = '.img';

/** Names without their suffix, of images that are more than entries. */
const SPECIAL: readonly (readonly [name: RegExp, kind: ImageKind])[] = [
  [/^pages-\d{1,15}$/, 'pages'],
  [/^pagemap-(shmem-|secretmem-)?\d+$/, 'pagemap'],
  [/^ghost-file-[\da-f]+$/, 'ghost'],
  [/^(pipes|fifo)-data$/, 'pipe-data'],
  [/^sk-queues$/, 'socket-queues'],
  [/^tcp-stream-[\da-f]+$/, 'tcp-stream'],
  [/^ipcns-sem-\d+$/, 'semaphores'],
  [/^ipcns-msg-\d+$/, 'message-queues'],
  [/^bpfmap-data$/, 'bpf-maps'],
  [/^netns-(ct|exp)-\d+$/, 'netlink-messages'],
  [/^(ip6?tables-\d+|tmpfs-(dev-)?\d+\.tar\.gz)$/, 'padded-records'],
  [/^(nftables|ifaddr|route6?|rule)-\d+$/, 'clear'],
];

/** Images of entries alone, by what is in front of a number (criu/image-desc.c). */
const NUMBERED_ENTRIES: ReadonlySet<string> = new Set([
  ...['core', 'mm', 'ids', 'fs', 'fdinfo', 'vmas', 'sigacts', 'creds', 'rlimit', 'itimers', 'posix-timers', 'signal-s'],
  ...['signal-p', 'timens', 'utsns', 'userns', 'pidns', 'netns', 'netdev', 'mountpoints', 'ipcns-var', 'ipcns-shm'],
  ...['autofs', 'binfmt-misc'],
]);

/** Images of entries alone, by name. */
const ENTRIES: ReadonlySet<string> = new Set([
  ...['inventory', 'pstree', 'files', 'seccomp', 'apparmor', 'cgroup', 'filelocks', 'remap-fpath', 'memfd', 'cpuinfo'],
  ...['memfd-secret', 'tty', 'tty-info', 'tty-data', 'binfmt-misc', 'reg-files', 'ext-files', 'ns-files', 'eventfd'],
  ...['eventpoll', 'eventpoll-tfd', 'signalfd', 'inotify', 'inotify-wd', 'fanotify', 'fanotify-mark', 'pipes', 'fifo'],
  ...['unixsk', 'inetsk', 'packetsk', 'netlinksk', 'tunfile', 'timerfd', 'bpfmap-file', 'irmap-cache'],
]);

/** Returns the kind of an image by its name, which is text or bytes of any encoding. */
export function imageKind(name: string): ImageKind {
  if (name === 'irmap-cache') return 'entries';
  if (!name.endsWith(SUFFIX)) return 'clear';
  const base = name.slice(0, -SUFFIX.length);
  const numbered = /^(.+)-\d+$/.exec(base)?.[1] ?? '';
  if (ENTRIES.has(base) || NUMBERED_ENTRIES.has(numbered)) return 'entries';
  return SPECIAL.find(([pattern]) => pattern.test(base))?.[1] ?? 'unknown';
}

/** Returns N of pages-N.img; undefined for another name. */
export function pagesId(name: string): number | undefined {
  const digits = /^pages-(\d{1,15})\.img$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Returns N of pagemap-shmem-N.img; undefined for another name. */
export function sharedMemoryId(name: string): bigint | undefined {
  const digits = /^pagemap-shmem-(\d{1,20})\.img$/.exec(name)?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}
