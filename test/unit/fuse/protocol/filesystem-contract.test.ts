// Holds a file system in memory, which the tests of the protocol serve, to the contract of filesystem.ts.
import { WritableMemoryFileSystem } from '../../../support/fuse/writable-memory-file-system.ts';
import { describeWritableContract } from '../../../support/writable-contract.ts';

describeWritableContract('a file system in memory', () => new WritableMemoryFileSystem());
