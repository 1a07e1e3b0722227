// Writes test/vectors/ anew from scripts/vectors/, which follows docs/format.md on its own. Every run gives the same
// files.
import fs from 'node:fs';
import path from 'node:path';
import { allVectors, vectorText } from './vectors/all.ts';

const root = path.join(import.meta.dirname, '..', 'test', 'vectors');
for (const [kind, vectors] of Object.entries(allVectors)) {
  const folder = path.join(root, kind);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, vector] of Object.entries(vectors))
    fs.writeFileSync(path.join(folder, `${name}.json`), vectorText(vector));
  process.stdout.write(`${kind}: ${Object.keys(vectors).length}\n`);
}
