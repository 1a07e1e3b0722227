import { CkptfsError } from '../../src/base/errors.ts';
import { parseMountInfo } from '../../src/fuse/mount/mountinfo.ts';
import { keyText, parseKeyText } from '../../src/keys/key-text.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must } from './target.ts';

/** A key file: a key of a known size or a refusal that repeats nothing of the file. */
export const keyFileTarget: FuzzTarget = {
  name: 'key-file',
  prepare: () => ({
    attempt: (random) => {
      const text = random.bytes(random.pick([16, 24, 32, 32, 20])).toString('hex');
      const dressed = random.pick(['', ' ', '\n', '\r\n', '\t']) + text + random.pick(['', '\n', ' \n', '\r\n']);
      const cased = random.chance(2) ? dressed.toUpperCase() : dressed;
      const input = random.chance(3) ? Buffer.from(cased) : mutate(Buffer.from(cased), random);
      return { input, check: () => checkKeyFile(input) };
    },
  }),
};

function checkKeyFile(input: Buffer): string {
  const digits = input.toString('latin1').replace(/^[\t-\r ]+|[\t-\r ]+$/g, '');
  const isKey = /^([0-9a-fA-F]{32}|[0-9a-fA-F]{48}|[0-9a-fA-F]{64})$/.test(digits);
  try {
    const key = parseKeyText(input, 'k');
    const text = keyText(key).toString();
    key.wipe();
    must(isKey, 'what is no key was taken for one');
    must(text === `${digits.toLowerCase()}\n`, 'another key than the file says');
    return 'ok';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(error.code === 'bad-key-file', `refused with ${error.code}`);
    must(!isKey, 'a key was refused');
    must(digits.length < 8 || !error.message.includes(digits.slice(0, 8)), 'the message repeats the file');
    return 'refused';
  }
}

const spaces = ['\\040', '\\011', '\\012', '\\134'];

function word(random: Random): string {
  const letters = Array.from({ length: 1 + random.below(12) }, () =>
    random.chance(6) ? random.pick(spaces) : random.pick(['a', 'Z', '/', '.', ':', '-', '=', '\xc3\xbc', '7']),
  );
  return letters.join('');
}

function mountLine(random: Random): string {
  const optional = Array.from({ length: random.below(3) }, () => `shared:${random.below(99)}`);
  const id = `${random.below(999)} ${random.below(999)} ${random.below(99)}:${random.below(99)}`;
  const place = `/${word(random)} /${word(random)} rw,${word(random)}`;
  return [id, place, ...optional, '-', `fuse.${word(random)}`, word(random), `rw,${word(random)}`].join(' ');
}

/** /proc/self/mountinfo, whose mount points and sources any user who may mount can choose. */
export const mountInfoTarget: FuzzTarget = {
  name: 'mountinfo',
  prepare: () => ({
    attempt: (random) => {
      const lines = Array.from({ length: random.below(5) }, () => mountLine(random));
      const text = lines.map((line) => `${line}\n`).join('');
      const mutated = !random.chance(3);
      const input = mutated ? mutate(Buffer.from(text, 'latin1'), random) : Buffer.from(text, 'latin1');
      return { input, check: () => checkMountInfo(input.toString('latin1'), mutated ? undefined : lines) };
    },
  }),
};

function checkMountInfo(text: string, lines: readonly string[] | undefined): string {
  const mounts = parseMountInfo(text);
  must(mounts.length <= text.split('\n').length, 'more mounts than lines');
  for (const { mountPoint, device, fsType, source, options } of mounts) {
    must(
      [mountPoint, device, fsType, source, ...options].every((part) => typeof part === 'string'),
      'no text',
    );
  }
  if (lines === undefined) return 'changed';
  must(mounts.length === lines.length, 'a mount was left out');
  for (const [at, line] of lines.entries()) {
    const field = line
      .split(' ')[4]
      ?.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    must(mounts[at]?.mountPoint === Buffer.from(field ?? '', 'latin1').toString(), 'another mount point');
  }
  return 'whole';
}
