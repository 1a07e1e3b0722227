import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { CkptfsError, toPlainError } from '../../../../src/base/errors.ts';
import { DaemonReports, HARDENED } from '../../../../src/serve/handover/reports.ts';

function reports(...lines: string[]): DaemonReports {
  return new DaemonReports(Readable.from(lines.map((line) => `${line}\n`)));
}

test('a daemon that serves reports where', async () => {
  const ready = { ok: true, pid: 7, mountPoint: '/mnt', device: '0:7', imageId: '0', warnings: [] };
  const { hardened, ready: served } = reports(HARDENED, JSON.stringify(ready));
  await hardened;
  expect(await served).toEqual(ready);
});

test('an error of the daemon arrives with its code, data and path', async () => {
  const error = new CkptfsError('busy', '/mnt is in use', { path: '/mnt', data: { reason: 'in-use' } });
  await expect(reports(HARDENED, JSON.stringify(toPlainError(error))).ready).rejects.toMatchObject({
    code: 'busy',
    message: '/mnt is in use',
    path: '/mnt',
    data: { reason: 'in-use' },
  });
});

test.each(['nonsense', 'null', '7', '{}', '{"ok":false}', '{"code":"x","message":"y"}', '{"code":"io"}'])(
  'a report that is %s is an internal error',
  async (line) => {
    await expect(reports(HARDENED, line).ready).rejects.toMatchObject({
      code: 'internal',
      message: 'the daemon sends a report that this version does not understand',
    });
  },
);

test('a daemon that ends early has not served', async () => {
  await expect(reports().hardened).rejects.toThrow('the daemon ended before it served');
  await expect(reports(HARDENED).ready).rejects.toThrow('the daemon ended before it served');
});
