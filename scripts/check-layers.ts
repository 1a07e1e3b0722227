// Holds every import in src against the rooms of docs/design.md: data flows one way.
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

function room(file: string): string {
  return path.relative(source, file).split(path.sep)[0] ?? '';
}

const faults: string[] = [];
for (const name of fs.readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  const file = path.join(source, name);
  const from = room(file);
  if (!name.endsWith('.ts') || name === 'index.ts') continue;
  const rules = allowed[from];
  if (rules === undefined) {
    faults.push(`src/${name}: a room that no rule knows`);
    continue;
  }
  for (const [, specifier = ''] of fs.readFileSync(file, 'utf8').matchAll(importPattern)) {
    const target = path.relative(source, path.resolve(path.dirname(file), specifier));
    const to = target.split(path.sep)[0] ?? '';
    if (to !== from && !rules.includes(to) && !rules.includes(target)) {
      faults.push(`src/${name}: ${from} must not import ${target}`);
    }
  }
}
process.stderr.write(faults.map((fault) => `${fault}\n`).join(''));
process.exitCode = faults.length > 0 ? 1 : 0;
