import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type AuditEvent, AuditLog, auditLine } from '../../../../src/base/linux/audit-log.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-audit-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

const event: AuditEvent = {
  event: 'open',
  image: '/enc',
  imageId: '00'.repeat(16),
  slot: 1,
  source: 'key',
  result: 'ok',
};

test('a line is printable ASCII without line breaks, and holds what it was given', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = auditLine({ ...event, image: text, source: text }, '1', new Date(0));
      expect(line).toMatch(/^[ -~]+$/);
      expect(JSON.parse(line)).toMatchObject({ ...event, image: text, source: text, time: '1970-01-01T00:00:00.000Z' });
    }),
  );
});

test('lines of several logs are appended to one file, of which no other user learns', () => {
  const path = join(directory, 'log');
  const logs = [AuditLog.open(path, '1'), AuditLog.open(path, '1')];
  for (let round = 0; round < 3; round++) for (const log of logs) log.write(event);
  for (const log of logs) log.close();
  const lines = fs.readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).imageId)).toEqual(Array(6).fill(event.imageId));
  expect(fs.statSync(path).mode & 0o777).toBe(0o600);
});

test('what is no file is refused, and what cannot be written is an error', () => {
  const refused = expect.objectContaining({ code: 'io' });
  fs.symlinkSync(join(directory, 'elsewhere'), join(directory, 'link'));
  for (const path of [directory, join(directory, 'link'), join(directory, 'no', 'log')]) {
    expect(() => AuditLog.open(path, '1')).toThrow(refused);
  }
  const full = AuditLog.open('/dev/full', '1');
  expect(() => full.write(event)).toThrow(refused);
  full.close();
});
