// Builds dist from scratch, so that nothing of a deleted file stays behind: what tsc makes of src, file by file, for who uses the
// library, and in dist/program the same bundled for the command, which starts sooner when it need not look for 200 files. CommonJS, for
// Node's loader of ES modules takes longer to start, in each of the command's processes and threads.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  const advice = '". scripts/lib/env.sh" puts the one that scripts/setup brought into PATH';
  process.stderr.write(`Node.js 20.19 or newer is needed, and this is ${process.version}: ${advice}.\n`);
  process.exit(1);
}

const root = join(import.meta.dirname, '..');
const draft = join(root, `dist.${process.pid}`);
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
/** The command, and what it starts: each finds the next one beside itself. */
const programs = [
  'cli/main.js',
  'serve/daemon-main.js',
  'serve/worker-main.js',
  'serve/mount-trial-main.js',
  'image/worker.js',
];

/** The licences of the packages that a bundle holds. */
function licences(inputs) {
  const found = inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(found)].sort().map((directory) => {
    const file = readdirSync(join(draft, directory)).find((name) => /^licen[cs]e/i.test(name));
    if (file === undefined) throw new Error(`${directory} has no licence file`);
    const text = readFileSync(join(draft, directory, file), 'utf8').trim();
    return `${directory.replace(/^.*node_modules\//, '')}\n\n${text}\n`;
  });
}

/**
 * As yargs is loaded, and again when it is set up, it looks into the current directory, for a package.json that tells our
 * version. It may be on a mount that does not answer, it may be gone, and it is not where our version is.
 */
const yargsWithoutDirectory = {
  name: 'yargs-without-directory',
  setup({ onLoad }) {
    onLoad({ filter: /yargs\/lib\/platform-shims\/esm\.mjs$/ }, ({ path }) => {
      const [before, after, ...more] = readFileSync(path, 'utf8').split('mainFilename || process.cwd()');
      if (after === undefined || more.length > 0) throw new Error(`${path} is not what it was`);
      return { contents: `${before}'/'${after}`, loader: 'js' };
    });
  },
};

try {
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', draft], {
    cwd: root,
    stdio: 'inherit',
  });
  const { metafile } = await build({
    absWorkingDir: draft,
    entryPoints: programs,
    entryNames: '[name]',
    outdir: 'program',
    bundle: true,
    metafile: true,
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    plugins: [yargsWithoutDirectory],
    alias: { 'string-width': join(root, 'scripts', 'lib', 'plain-width.js') },
    define: { 'import.meta.url': 'moduleUrl' },
    platform: 'node',
    target: 'node20.19',
    external: ['koffi', 'fuse-native'],
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  writeFileSync(join(draft, 'program', 'package.json'), '{ "type": "commonjs" }\n');
  writeFileSync(join(draft, 'program', 'LICENSES.txt'), licences(Object.keys(metafile.inputs)).join('\n----\n\n'));
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  renameSync(draft, join(root, 'dist'));
} finally {
  rmSync(draft, { recursive: true, force: true });
}
