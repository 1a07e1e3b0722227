import { expect, test } from 'vitest';
import { programFindings } from '../../../../src/cli/doctor/programs.ts';
import type { CompressionName } from '../../../../src/format/compressions.ts';
import { level } from './described-host.ts';

test('the version of Node.js and the lack of OpenSSL are judged', () => {
  const node = (version: string): string | undefined =>
    level(programFindings(version, 'openssl', undefined, []), 'Node');
  expect([node('v18.20.0'), node('v20.18.9'), node('v20.19.0'), node('v24.0.0')]).toEqual([
    'missing',
    'missing',
    'warn',
    'ok',
  ]);
  expect(level(programFindings('v24.0.0', 'node', undefined, []), 'crypto')).toBe('warn');
});

test('archives of zstd need a newer Node.js, or a program', () => {
  const zstd = (version: string, path?: string): string | undefined =>
    level(programFindings(version, 'openssl', path, []), 'archives of zstd');
  expect([zstd('v22.14.0'), zstd('v22.15.0'), zstd('v24.0.0'), zstd('v20.19.0', '/usr/bin/zstd')]).toEqual([
    'warn',
    'ok',
    'ok',
    'ok',
  ]);
});

test('compressed images need the libraries', () => {
  const found = (...names: readonly CompressionName[]) =>
    programFindings('v24.0.0', 'openssl', undefined, names).find(({ subject }) => subject === 'compressed images');
  expect(found('zstd', 'lz4')).toEqual({ level: 'ok', subject: 'compressed images', found: 'by zstd and lz4' });
  expect(found('zstd')).toMatchObject({ level: 'warn', found: 'those of lz4 are refused', advice: 'install liblz4' });
  expect(found()).toMatchObject({ level: 'warn', found: 'those of zstd and lz4 are refused' });
});
