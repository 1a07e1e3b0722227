import fs from 'node:fs';
import os from 'node:os';
import { run } from '../lib/commands.ts';
import type { Peers } from './peers/all.ts';
import type { Machine } from './results.ts';

/** Returns the first group of `pattern` in a command's output, or a question mark where it does not match. */
async function said(pattern: RegExp, ...command: Parameters<typeof run>): Promise<string> {
  try {
    return pattern.exec(await run(...command))?.[1]?.trim() ?? '?';
  } catch {
    return '?';
  }
}

/** Describes what the numbers depend on, and nothing that identifies this machine. */
export async function describeMachine(directory: string): Promise<Machine> {
  const [, system = os.type()] = /^PRETTY_NAME="?([^"\n]+)/m.exec(fs.readFileSync('/etc/os-release', 'utf8')) ?? [];
  const vendor = await said(/^Vendor ID:(.*)$/m, 'lscpu');
  const model = os.cpus()[0]?.model.trim() || 'unknown';
  const virtual = await said(/^Hypervisor vendor:(.*)$/m, 'lscpu');
  return {
    processor: `${/^(unknown|\d*)$/.test(model) ? `${vendor}, model not told` : model}${virtual === '?' ? '' : ` (virtual, ${virtual})`}`,
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    system,
    kernel: os.release(),
    fileSystem: await said(/^(\S+)/, 'findmnt', '--noheadings', '--output', 'FSTYPE', '--target', directory),
  };
}

/** Lists the versions of everything that takes part. */
export async function describeVersions(peers: Peers): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const peer of Object.values(peers)) {
    if (peer && peer.version !== '' && !peer.name.includes(' ')) versions[peer.name] = peer.version;
  }
  versions['node'] = process.versions.node;
  versions['OpenSSL in node'] = process.versions.openssl;
  versions['criu'] = await said(/^Version: (\S+)/m, 'criu', '--version');
  return versions;
}

/** Returns the commit of the working tree, with a mark where it has changes. */
export async function describeCommit(project: string): Promise<string> {
  return said(/^(\S+)/, 'git', '-C', project, 'describe', '--always', '--dirty', '--abbrev=10', '--exclude', '*');
}
