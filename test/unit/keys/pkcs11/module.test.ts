// Goal: code that others can change is not run, and what is no module is said to be none.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { CKR, ModuleFault } from '../../../../src/keys/pkcs11/faults.ts';
import { FunctionList } from '../../../../src/keys/pkcs11/function-list.ts';
import { TokenModule } from '../../../../src/keys/pkcs11/module.ts';
import { MadeModule } from '../../../support/made-token-module.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-module-')));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, 'no library');
  chmodSync(path, mode);
  return path;
}

function failure(path: string): CkptfsError {
  try {
    TokenModule.open(path);
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error(`${path} was loaded`);
}

test('a file that is no library, none, and a library without functions of PKCS #11', () => {
  expect(failure(file('text.so'))).toMatchObject({ code: 'missing-feature', data: { feature: 'pkcs11' } });
  expect(failure(join(directory, 'nothing.so')).message).toContain('no such file');
  const other = process.report.getReport() as { sharedObjects: string[] };
  const libc = other.sharedObjects.find((path) => path.includes('libc.so'));
  expect(failure(libc ?? '')).toMatchObject({ code: 'missing-feature' });
});

test('a module that others can change or replace, a directory, and one of another user', () => {
  expect(failure(file('open.so', 0o666))).toMatchObject({ code: 'bad-argument' });
  symlinkSync(join(directory, 'open.so'), join(directory, 'link.so'));
  expect(failure(join(directory, 'link.so')).message).toContain('changed by other users');
  expect(failure(directory).message).toContain('is no file');
  const folder = join(directory, 'open');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  expect(failure(file('open/a.so')).message).toContain('changed by other users');
  chmodSync(folder, 0o1777);
  expect(failure(join(folder, 'a.so')).code).toBe('missing-feature');
  mkdirSync(join(folder, 'inner'));
  const inner = file('open/inner/a.so');
  expect(failure(inner).code).toBe('missing-feature');
  chmodSync(folder, 0o777);
  expect(failure(inner).message).toContain('changed by other users');
  if (process.geteuid?.() !== 0) return;
  chownSync(file('other.so'), 12345, 12345);
  expect(failure(join(directory, 'other.so')).message).toContain('belongs to another user');
  chmodSync(folder, 0o755);
  chownSync(folder, 12345, 12345);
  expect(failure(inner).message).toContain('changed by other users');
});

test('a module without locks is used without them; one that is initialized once is ended once', () => {
  const refused = new MadeModule({
    C_Initialize: (args) => (refused.calls.get('C_Initialize') === 1 ? CKR.CANT_LOCK : args * 0),
  });
  const path = file('made.so');
  const [first, second] = [1, 2].map(() => TokenModule.open(path, '', () => refused.functions));
  expect(first).toBe(second);
  expect(refused.calls.get('C_Initialize')).toBe(2);
  first?.close();
  expect(refused.calls.get('C_Finalize')).toBeUndefined();
  second?.close();
  expect(refused.calls.get('C_Finalize')).toBe(1);
  refused.dispose();
});

test('a module that fails to begin, and one of a version that does not exist', () => {
  const failing = new MadeModule({ C_Initialize: () => CKR.DEVICE_ERROR });
  expect(() => TokenModule.open(file('failing.so'), '', () => failing.functions)).toThrow(ModuleFault);
  failing.dispose();
  expect(() => new MadeModule({}, 9)).toThrow('version 9');
  expect(() => FunctionList.load(file('text2.so'))).toThrow();
});
