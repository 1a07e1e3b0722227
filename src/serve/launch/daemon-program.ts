import { fileURLToPath } from 'node:url';
import { programUrl } from '../../base/program-url.ts';

export const DAEMON_PROGRAM = fileURLToPath(programUrl('daemon'));

/** The variables that a daemon inherits. The launcher, bin/ckptfs, has the same list. */
export const PASSED_ON = [
  'PATH',
  'HOME',
  'XDG_CONFIG_HOME',
  'XDG_RUNTIME_DIR',
  'XDG_STATE_HOME',
  'LANG',
  'TZ',
  'OPENSSL_CONF',
] as const;

/** Returns the environment of a daemon. It is small, as a caller's may hold secrets, and settings of Node. */
export function daemonEnvironment(): Record<string, string> {
  return Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
