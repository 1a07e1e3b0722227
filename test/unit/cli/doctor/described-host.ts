import type { Finding } from '../../../../src/cli/doctor/check.ts';
import type { Host } from '../../../../src/cli/doctor/host.ts';

export interface Described {
  readonly isRoot?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  readonly directories?: Readonly<Record<string, readonly string[]>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly programs?: Readonly<Record<string, string>>;
  /** Commands that end with a failure: `criu check`. */
  readonly failing?: readonly string[];
  readonly below?: string;
  readonly keptCriu?: string;
  readonly canOpen?: boolean;
  readonly tracksWrites?: boolean;
  readonly hasKeyrings?: boolean;
}

/** Returns a host that is not this one: with swap, kernels and users that a test cannot make. */
export function host(described: Described): Host {
  const { isRoot = true, files = {}, directories = {}, links = {}, programs = {}, failing = [], below } = described;
  return {
    isRoot,
    keptCriu: described.keptCriu,
    canOpen: () => described.canOpen ?? false,
    tracksWrites: () => described.tracksWrites ?? false,
    hasKeyrings: () => described.hasKeyrings ?? false,
    readFile: (path) => files[path],
    names: (directory) => directories[directory] ?? [],
    exists: (path) => path in files,
    mayReadAndWrite: (path) => files[path] === 'open',
    link: (path) => links[path],
    deviceBelow: () => below,
    program: (name) => (name in programs ? `/usr/bin/${name}` : undefined),
    output(path, [first = '']) {
      const name = path.slice('/usr/bin/'.length);
      return failing.includes(`${name} ${first}`) ? undefined : programs[name];
    },
  };
}

/** Returns the level of the finding whose subject begins so. */
export function level(findings: readonly Finding[], subject: string): string | undefined {
  return findings.find((finding) => finding.subject.startsWith(subject))?.level;
}
