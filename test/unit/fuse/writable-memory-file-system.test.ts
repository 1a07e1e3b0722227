import { describeWritableContract } from '../../support/writable-contract.ts';
import { WritableMemoryFileSystem } from './writable-memory-file-system.ts';

describeWritableContract('a file system in memory', () => new WritableMemoryFileSystem());
