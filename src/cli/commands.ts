import type { Command } from './command.ts';

/** Every command, in the order of the help text. Only the ones named on a command line are loaded. */
export const commands = {
  keygen: {
    usage: 'keygen',
    summary: 'Make a key file',
    load: async () => (await import('./commands/keygen.ts')).command,
  },
  encrypt: {
    usage: 'encrypt <SRC> <DST>',
    summary: 'Encrypt a directory into a new image',
    load: async () => (await import('./commands/encrypt.ts')).command,
  },
  mount: {
    usage: 'mount <ENC> <MNT>',
    summary: 'Mount an image, so that its files can be read in clear, or written with --write',
    load: async () => (await import('./commands/mount.ts')).command,
  },
  umount: {
    usage: 'umount <MNT>',
    summary: 'Unmount an image; what was written is sealed, its keys are wiped from memory',
    load: async () => (await import('./commands/umount.ts')).command,
  },
  remount: {
    usage: 'remount <MNT>',
    summary: 'Seal what was written on a mount, and mount it again read-only at the same place',
    load: async () => (await import('./commands/remount.ts')).command,
  },
  seal: {
    usage: 'seal <ENC>',
    summary: 'Seal an image that a writable mount left unsealed',
    load: async () => (await import('./commands/seal.ts')).command,
  },
  recover: {
    usage: 'recover <ENC>',
    summary: 'Give up what an interrupted writer lost, so that the rest can be sealed',
    load: async () => (await import('./commands/recover.ts')).command,
  },
  exec: {
    usage: 'exec <ENC>',
    summary: 'Run a command that sees an image mounted, and nobody else does',
    load: async () => (await import('./commands/exec.ts')).command,
  },
  status: {
    usage: 'status',
    summary: 'Show the mounts of this host and what they do',
    load: async () => (await import('./commands/status.ts')).command,
  },
  info: {
    usage: 'info <ENC>',
    summary: 'Describe an image; with its key, also what is in it',
    load: async () => (await import('./commands/info.ts')).command,
  },
  ls: {
    usage: 'ls <ENC> [PATH]',
    summary: 'List files of an image, without mounting it',
    load: async () => (await import('./commands/ls.ts')).command,
  },
  cat: {
    usage: 'cat <ENC> <FILE>',
    summary: 'Write a file of an image to standard output, without mounting it',
    load: async () => (await import('./commands/cat.ts')).command,
  },
  verify: {
    usage: 'verify <ENC>',
    summary: 'Authenticate every byte of an image and name all damage',
    load: async () => (await import('./commands/verify.ts')).command,
  },
  decrypt: {
    usage: 'decrypt <ENC> <DST>',
    summary: 'Decrypt a whole image into a directory',
    load: async () => (await import('./commands/decrypt.ts')).command,
  },
  doctor: {
    usage: 'doctor',
    summary: 'Check what this host has and lacks for ckptfs',
    load: async () => (await import('./commands/doctor.ts')).command,
  },
  completion: {
    usage: 'completion [SHELL]',
    summary: 'Print a script for command completion in bash or zsh',
    load: async () => (await import('./commands/completion.ts')).command,
  },
} as const satisfies Record<string, { usage: string; summary: string; load: () => Promise<Command> }>;

export type CommandName = keyof typeof commands;

export const commandNames = Object.keys(commands) as CommandName[];

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(commands, word);
}
