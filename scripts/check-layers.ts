// Holds every import in src, of types too, against the rooms of docs/design.md: data flows one way, and no files import
// each other in a circle.
import fs from 'node:fs';
import path from 'node:path';

const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ['base'],
  crypto: ['base', 'format'],
  keys: ['base', 'crypto', 'format'],
  stores: ['base'],
  fuse: ['base'],
  image: ['base', 'crypto', 'format', 'stores'],
  fs: ['base', 'format', 'image', 'fuse/filesystem.ts'],
  serve: ['base', 'crypto', 'format', 'stores', 'image', 'keys', 'fuse', 'fs'],
  library: ['base', 'crypto/secret.ts', 'format', 'stores', 'image', 'keys'],
  cli: [
    'base',
    'crypto/hardening.ts',
    'crypto/secret.ts',
    'crypto/select.ts',
    'format',
    'fuse/reachable.ts',
    'image',
    'keys',
    'library',
    'serve',
  ],
};

const source = path.join(import.meta.dirname, '..', 'src');
const importPattern = /(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g;

/**
 * Circles that exist today. This list only shrinks: one that is gone, or has become smaller, fails until it is updated.
 */
const KNOWN_CIRCLES: readonly (readonly string[])[] = [
  ['cli/commands.ts', 'cli/commands/mount.ts', 'cli/early-daemon.ts'],
  [
    'image/extract-worker.ts',
    'image/seal-worker.ts',
    'image/verify-worker.ts',
    'image/worker-pool.ts',
    'image/worker.ts',
  ],
  [
    'image/writable/content-reader.ts',
    'image/writable/dirty-chunks.ts',
    'image/writable/file-chunks.ts',
    'image/writable/inode-entry.ts',
    'image/writable/live-inode.ts',
    'image/writable/pending-contents.ts',
    'image/writable/refused-contents.ts',
  ],
];

const imports = new Map<string, string[]>();
const faults: string[] = [];
for (const name of fs.readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.ts')) continue;
  const file = path.join(source, name);
  const specifiers = [...fs.readFileSync(file, 'utf8').matchAll(importPattern)].map(([, specifier = '']) => specifier);
  const targets = specifiers.map((specifier) => path.relative(source, path.resolve(path.dirname(file), specifier)));
  imports.set(name, targets);
  if (name === 'index.ts') continue;
  const from = roomOf(name);
  const rules = allowed[from];
  if (rules === undefined) {
    faults.push(`src/${name}: no rule allows the room ${from}`);
    continue;
  }
  for (const target of targets) {
    const to = roomOf(target);
    if (to !== from && !rules.includes(to) && !rules.includes(target)) {
      faults.push(`src/${name}: ${from} must not import ${target}`);
    }
  }
}
const circles = circlesIn(imports).map((files) => files.join(', '));
const known = KNOWN_CIRCLES.map((files) => files.join(', '));
for (const circle of circles) if (!known.includes(circle)) faults.push(`files that import each other: ${circle}`);
for (const circle of known)
  if (!circles.includes(circle)) faults.push(`no circle any more, update KNOWN_CIRCLES: ${circle}`);
process.stderr.write(faults.map((fault) => `${fault}\n`).join(''));
process.exitCode = faults.length > 0 ? 1 : 0;

function roomOf(name: string): string {
  return name.split(path.sep)[0] ?? '';
}

/** Returns the groups of files each of which leads to every other of its group, by Tarjan's algorithm. */
function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const stack: string[] = [];
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found.sort();

  /** Returns the lowest number in the visiting order that `file` leads back to. */
  function visit(file: string): number {
    const own = order.size;
    order.set(file, own);
    stack.push(file);
    let lowest = own;
    for (const target of graph.get(file) ?? []) {
      if (!order.has(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, order.get(target) ?? own);
    }
    if (lowest === own) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return lowest;
  }
}
