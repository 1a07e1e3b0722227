import type { Command } from './command.ts';
import type { CommandName } from './command-names.ts';

/** Loads a command. Only a command that the command line names is loaded. */
export const loadCommand: Readonly<Record<CommandName, () => Promise<Command>>> = {
  keygen: async () => (await import('./commands/keygen.ts')).command,
  encrypt: async () => (await import('./commands/encrypt.ts')).command,
  watch: async () => (await import('./commands/watch.ts')).command,
  mount: async () => (await import('./commands/mount.ts')).command,
  umount: async () => (await import('./commands/umount.ts')).command,
  remount: async () => (await import('./commands/remount.ts')).command,
  seal: async () => (await import('./commands/seal.ts')).command,
  sign: async () => (await import('./commands/sign.ts')).command,
  recover: async () => (await import('./commands/recover.ts')).command,
  reencrypt: async () => (await import('./commands/reencrypt.ts')).command,
  shred: async () => (await import('./commands/shred.ts')).command,
  lock: async () => (await import('./commands/lock.ts')).command,
  unlock: async () => (await import('./commands/unlock.ts')).command,
  exec: async () => (await import('./commands/exec.ts')).command,
  'run-hook': async () => (await import('./commands/run-hook.ts')).command,
  status: async () => (await import('./commands/status.ts')).command,
  key: async () => (await import('./commands/key.ts')).command,
  kms: async () => (await import('./commands/kms.ts')).command,
  info: async () => (await import('./commands/info.ts')).command,
  ls: async () => (await import('./commands/ls.ts')).command,
  cat: async () => (await import('./commands/cat.ts')).command,
  verify: async () => (await import('./commands/verify.ts')).command,
  decrypt: async () => (await import('./commands/decrypt.ts')).command,
  export: async () => (await import('./commands/export.ts')).command,
  config: async () => (await import('./commands/config.ts')).command,
  doctor: async () => (await import('./commands/doctor.ts')).command,
  completion: async () => (await import('./commands/completion.ts')).command,
};
