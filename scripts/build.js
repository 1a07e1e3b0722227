// Builds dist from scratch, so that no output of a deleted file remains. tsc compiles src file by file for users of the
// library; dist/bundle holds the same as bundles for the command, which starts sooner when it does not look for 200
// files. The bundles are CommonJS: Node's loader of ES modules takes longer to start, in each process and thread.
//
//     node scripts/build.js                                  builds dist
//     node scripts/build.js --program DIRECTORY NAME=VALUE   bundles the contents of dist into DIRECTORY, with another
//                                                            value for a constant of src/base/tuning.ts
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
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
/** The command and what it starts. In a bundle they are beside each other (src/base/program-url.ts). */
const programs = [
  'ckptfs',
  'daemon',
  'serving-thread',
  'criu-thread',
  'lazy-thread',
  'image-worker',
  'key-check',
  'mount-trial',
  'fetcher',
];

/** The constants of src/base/tuning.ts that the bundles can have another value of. */
const tuning = [
  'CKPTFS_POLLS_DEVICE',
  'CKPTFS_CLONES_DEVICE',
  'CKPTFS_READ_AHEAD_KIBIBYTES',
  'CKPTFS_CALLS_PREAD',
  'CKPTFS_MIN_DEFERRED_WRITE',
  'CKPTFS_STARTS_DAEMON_EARLY',
  'CKPTFS_MIN_DIRECT_FILE',
  'CKPTFS_READS_AHEAD',
  'CKPTFS_SERVED_BEFORE_THREADS',
  'CKPTFS_STOPS_XATTR_REQUESTS',
];

/** The licences of the packages that a bundle holds. */
function licences(inputs, from) {
  const found = inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(found)].sort().map((directory) => {
    const file = readdirSync(join(from, directory)).find((name) => /^licen[cs]e/i.test(name));
    const text =
      file === undefined
        ? licencesInHeads(inputs.filter((path) => path.startsWith(`${directory}/`)).map((path) => join(from, path)))
        : readFileSync(join(from, directory, file), 'utf8').trim();
    return `${directory.replace(/^.*node_modules\//, '')}\n\n${text}\n`;
  });
}

/** The licences of a package that has them at the heads of its files only, each once. */
function licencesInHeads(files) {
  const heads = files.map((file) =>
    /^(?:\/\/.*\n)+/
      .exec(readFileSync(file, 'utf8'))?.[0]
      ?.replace(/^\/\/ ?/gm, '')
      .trim(),
  );
  const unnamed = heads.findIndex((head) => !head?.startsWith('Copyright'));
  if (unnamed !== -1) throw new Error(`${files[unnamed]} has no licence at its head, and its package no licence file`);
  return [...new Set(heads)].join('\n\n');
}

/**
 * As yargs is loaded, and again when it is set up, it looks into the current directory, for a package.json that tells
 * our version. It may be on a mount that does not answer, it may be gone, and it is not where our version is.
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

/** Prints what is wrong with the command line, and exits. */
function refuse(message) {
  process.stderr.write(`build: ${message}\n`);
  process.exit(2);
}

/** Parses NAME=VALUE arguments; exits where a name is not a constant of src/base/tuning.ts. */
function parseDefinitions(words) {
  const definitions = Object.fromEntries(words.map((word) => word.split('=', 2)));
  const unknown = Object.keys(definitions).find((name) => !tuning.includes(name));
  if (unknown !== undefined) refuse(`${unknown} is not one of ${tuning.join(', ')}`);
  return definitions;
}

/**
 * Bundles the command.
 * @param from the directory of what tsc made
 * @param to the directory to write to
 * @param altered values, as JavaScript, of constants of src/base/tuning.ts; the others keep what that file says
 */
async function bundle(from, to, altered = {}) {
  const ordinary = Object.fromEntries(tuning.map((name) => [name, 'undefined']));
  const common = {
    absWorkingDir: from,
    entryNames: '[name]',
    outdir: to,
    bundle: true,
    metafile: true,
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    plugins: [yargsWithoutDirectory],
    alias: { 'string-width': join(root, 'scripts', 'lib', 'plain-width.js') },
    define: { 'import.meta.url': 'moduleUrl', CKPTFS_PROGRAMS: '"./"', ...ordinary, ...altered },
    platform: 'node',
    target: 'node20.19',
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  };
  const entryPoints = (names) => names.map((name) => join('programs', `${name}.js`));
  const external = ['koffi', 'fuse-native'];
  const built = [
    await build({ ...common, entryPoints: entryPoints(programs), external }),
    // It makes no key slots, and opens them by key files alone. Every line that is read delays a mount.
    await build({
      ...common,
      entryPoints: entryPoints(['mount']),
      external: [
        ...external,
        'jose',
        '*/other-keys.js',
        '*/configuration.js',
        '*/enforcement.js',
        '*/signature-rules.js',
        '*/open-criu-tree.js',
      ],
    }),
  ];
  const inputs = [...new Set(built.flatMap(({ metafile }) => Object.keys(metafile.inputs)))];
  writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n');
  writeFileSync(join(to, 'LICENSES.txt'), licences(inputs, from).join('\n----\n\n'));
}

async function buildDist() {
  try {
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', draft], {
      cwd: root,
      stdio: 'inherit',
    });
    await bundle(draft, join(draft, 'bundle'));
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    renameSync(draft, join(root, 'dist'));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

const [mode, directory, ...words] = process.argv.slice(2);
if (mode === undefined) await buildDist();
else if (mode === '--program' && directory !== undefined) {
  await bundle(join(root, 'dist'), resolve(directory), parseDefinitions(words));
} else refuse(`unknown arguments: ${process.argv.slice(2).join(' ')}`);
