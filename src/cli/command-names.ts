/** The name of every command in the order of the help text, with its arguments as yargs writes them, and a summary. */
export const commandTexts = {
  keygen: {
    usage: 'keygen',
    summary: 'Make a key file',
  },
  encrypt: {
    usage: 'encrypt <SRC> [DST]',
    summary: 'Encrypt a directory or an archive into a new image',
  },
  watch: {
    usage: 'watch <DIR>',
    summary: 'Encrypt archives as they appear in a directory, verify the images, remove the archives',
  },
  mount: {
    usage: 'mount <ENC> <MNT>',
    summary: 'Mount an image, so that its files can be read in clear, or written with --write',
  },
  umount: {
    usage: 'umount <MNT>',
    summary: 'Unmount an image; what was written is sealed, its keys are wiped from memory',
  },
  remount: {
    usage: 'remount <MNT>',
    summary: 'Seal what was written on a mount, and mount it again read-only at the same place',
  },
  seal: {
    usage: 'seal <ENC>',
    summary: 'Seal an image that a writable mount left unsealed',
  },
  sign: {
    usage: 'sign <ENC>',
    summary: 'Sign a sealed image, so that others can demand it',
  },
  recover: {
    usage: 'recover <ENC>',
    summary: 'Give up what an interrupted writer lost, so that the rest can be sealed',
  },
  reencrypt: {
    usage: 'reencrypt <ENC> [DST]',
    summary: 'Encrypt an image anew under another key, in place or into a new directory',
  },
  shred: {
    usage: 'shred <ENC>',
    summary: 'Destroy what opens an image, so that nothing does any more',
  },
  lock: {
    usage: 'lock <MNT>',
    summary: 'Wipe the keys of a mount that is read; it stays, and cannot be read until it is unlocked',
  },
  unlock: {
    usage: 'unlock <MNT>',
    summary: 'Give a locked mount its key again',
  },
  exec: {
    usage: 'exec <ENC>',
    summary: 'Run a command with an image mounted for it alone',
  },
  'run-hook': {
    usage: 'run-hook <HOOK> <ENC> <MNT>',
    summary: 'Mount an image for a container, and unmount it, as hooks of a container runtime',
  },
  status: {
    usage: 'status [MNT]',
    summary: 'Show the mounts of this host and what they do',
  },
  key: {
    usage: 'key <ACTION> <ENC> [SLOT] [LABEL]',
    summary: 'Show and change who can open an image; keep its key in the kernel for a time',
  },
  kms: {
    usage: 'kms <ACTION> <SERVICE> [NAME]',
    summary: 'Make, list, revoke and destroy keys of a key management server',
  },
  info: {
    usage: 'info <ENC>',
    summary: 'Describe an image; with its key, also what is in it',
  },
  ls: {
    usage: 'ls <ENC> [PATH]',
    summary: 'List files of an image, without mounting it',
  },
  cat: {
    usage: 'cat <ENC> <FILE>',
    summary: 'Write a file of an image to standard output, without mounting it',
  },
  verify: {
    usage: 'verify <ENC>',
    summary: 'Authenticate every byte of an image and name all damage',
  },
  decrypt: {
    usage: 'decrypt <ENC> <DST>',
    summary: 'Decrypt a whole image into a directory',
  },
  export: {
    usage: 'export <ENC>',
    summary: 'Write a whole image as a tar archive in clear',
  },
  push: {
    usage: 'push <ENC> <URL>',
    summary: 'Send a sealed image to a bucket or a registry; no key is needed',
  },
  pull: {
    usage: 'pull <URL> <ENC>',
    summary: 'Fetch an image from a bucket or a registry; no key is needed',
  },
  remote: {
    usage: 'remote <ACTION> <URL>',
    summary: 'List images in a bucket or a registry; remove one',
  },
  profile: {
    usage: 'profile <ACTION> <MNT>',
    summary: 'Record in which order a mounted image was fetched, so that the next mount fetches it ahead',
  },
  config: {
    usage: 'config',
    summary: 'Show what holds where no key is named, and the policy, with where each is from',
  },
  doctor: {
    usage: 'doctor',
    summary: 'Check what this host has and lacks for ckptfs',
  },
  completion: {
    usage: 'completion [SHELL]',
    summary: 'Print a script for command completion in bash or zsh',
  },
} as const satisfies Record<string, { readonly usage: string; readonly summary: string }>;

export type CommandName = keyof typeof commandTexts;

export const commandNames = Object.keys(commandTexts) as CommandName[];

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(commandTexts, word);
}
