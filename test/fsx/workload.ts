import fs from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../fuzz/random.ts';
import { dataFrom, directories, MAX_SIZE, pathFrom, rangeFrom } from './choices.ts';
import { FileModel } from './file-model.ts';
import { forgetUnused } from './kernel-caches.ts';
import { allocate, dropPages, KEEP_SIZE, PUNCH_HOLE, readMapped, writeMapped, ZERO_RANGE } from './mapped.ts';
import { TreeModel } from './tree-model.ts';

/** Fewer bytes than were asked for: what a call that has done a part already returns instead of an error. */
export class ShortTransfer extends Error {}

/** An open file. */
interface Handle {
  readonly fd: number;
  readonly file: FileModel;
  readonly appends: boolean;
  readonly writes: boolean;
}

const HANDLES = 8;
const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_DIRECT } = fs.constants;

/**
 * Random operations on the files of a directory, each done to a model as well. Whatever the directory does otherwise
 * than the model is an Error; so is any failure, for only what must succeed is asked for.
 */
export class Workload {
  readonly #root: string;
  readonly #model = new TreeModel();
  #handles: Handle[] = [];

  constructor(root: string) {
    this.#root = root;
    for (const directory of directories) fs.mkdirSync(join(root, directory), { recursive: true });
  }

  /** One operation. @returns its name */
  step(random: Random): string {
    const operation = random.pick(drawn);
    operation[2](this, random);
    return operation[0];
  }

  /** Closes everything and compares all of it. */
  settle(): void {
    while (this.#handles.length > 0) this.#close(0);
    this.compare();
  }

  /** Compares all files with the model. */
  compare(): void {
    this.#model.check(this.#found());
  }

  /** Compares all files with what may be left of the model after the process that served them was killed. */
  compareKilled(): void {
    for (const { fd } of this.#handles) closeDead(fd);
    this.#handles = [];
    this.#model.checkKilled(this.#found());
  }

  open(random: Random): void {
    if (this.#handles.length >= HANDLES) this.close(random);
    const path = pathFrom(random);
    const file = this.#model.file(path);
    const writes = !random.chance(6);
    const truncates = writes && random.chance(8);
    const appends = random.chance(6);
    const flags =
      (writes ? O_RDWR : O_RDONLY) |
      (truncates ? O_TRUNC : 0) |
      (appends ? O_APPEND : 0) |
      (random.chance(4) ? O_DIRECT : 0);
    if (file !== undefined) {
      if (truncates) this.#model.change(file, (step) => file.truncate(step, 0));
      this.#handles.push({ fd: fs.openSync(this.#at(path), flags), file, appends, writes });
      return;
    }
    const made = new FileModel();
    this.#name(
      (all) => all.set(path, made),
      () => {
        this.#handles.push({ fd: fs.openSync(this.#at(path), flags | O_CREAT, 0o644), file: made, appends, writes });
      },
    );
  }

  close(random: Random): void {
    if (this.#handles.length > 0) this.#close(random.below(this.#handles.length));
  }

  write(random: Random): void {
    this.#withWriter(random, ({ fd, file, appends }) => {
      const [offset, length] = rangeFrom(random, MAX_SIZE);
      const at = appends ? file.size : offset;
      const bytes = dataFrom(random, Math.min(length, MAX_SIZE - at));
      this.#model.change(file, (step) => file.write(step, at, bytes));
      const count = fs.writeSync(fd, bytes, 0, bytes.length, offset);
      if (count < bytes.length) throw new ShortTransfer(`${count} bytes written of ${bytes.length}`);
    });
  }

  read(random: Random): void {
    this.#withHandle(random, ({ fd, file }) => {
      const [offset, length] = rangeFrom(random, MAX_SIZE);
      const bytes = Buffer.alloc(length);
      const count = fs.readSync(fd, bytes, 0, length, offset);
      const expected = file.read(offset, length);
      expectSame('read', offset, bytes.subarray(0, count), expected.subarray(0, count));
      if (count < expected.length) throw new ShortTransfer(`${count} bytes read of ${expected.length}`);
    });
  }

  readMapped(random: Random): void {
    this.#withHandle(random, ({ fd, file }) => {
      if (file.size === 0) return;
      const [offset, length] = rangeFrom(random, file.size);
      expectSame('mapping', offset, readMapped(fd, offset, length), file.read(offset, length));
    });
  }

  writeMapped(random: Random): void {
    this.#withWriter(random, ({ fd, file }) => {
      if (file.size === 0) return;
      const [offset, length] = rangeFrom(random, file.size);
      const bytes = dataFrom(random, length);
      this.#model.change(file, (step) => file.write(step, offset, bytes));
      writeMapped(fd, offset, bytes, random.chance(2));
    });
  }

  truncate(random: Random): void {
    this.#withWriter(random, ({ fd, file }) => {
      const size = random.chance(2) ? random.below(file.size + 1) : rangeFrom(random, MAX_SIZE)[0];
      this.#model.change(file, (step) => file.truncate(step, size));
      fs.ftruncateSync(fd, size);
    });
  }

  punch(random: Random): void {
    this.#withWriter(random, ({ fd, file }) => {
      const [offset, length] = rangeFrom(random, MAX_SIZE);
      this.#model.change(file, (step) => file.zero(step, offset, length));
      allocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length);
    });
  }

  zero(random: Random): void {
    this.#withWriter(random, ({ fd, file }) => {
      const [offset, length] = rangeFrom(random, MAX_SIZE);
      const keepsSize = random.chance(2);
      this.#model.change(file, (step) => {
        file.zero(step, offset, length);
        if (!keepsSize && offset + length > file.size) file.truncate(step, offset + length);
      });
      allocate(fd, ZERO_RANGE | (keepsSize ? KEEP_SIZE : 0), offset, length);
    });
  }

  extend(random: Random): void {
    this.#withWriter(random, ({ fd, file }) => {
      const [offset, length] = rangeFrom(random, MAX_SIZE);
      this.#model.change(file, (step) => {
        if (offset + length > file.size) file.truncate(step, offset + length);
      });
      allocate(fd, 0, offset, length);
    });
  }

  sync(random: Random): void {
    this.#withHandle(random, ({ fd }) => {
      if (random.chance(2)) fs.fsyncSync(fd);
      else fs.fdatasyncSync(fd);
      this.#model.contentsLast();
    });
  }

  dropCaches(random: Random): void {
    // Names, attributes and nodes; the pages of one file.
    if (random.chance(50)) forgetUnused(this.#root);
    this.#withHandle(random, ({ fd }) => dropPages(fd));
  }

  unlink(random: Random): void {
    this.#withPath(random, (path) =>
      this.#name(
        (all) => all.delete(path),
        () => fs.unlinkSync(this.#at(path)),
      ),
    );
  }

  rename(random: Random): void {
    this.#withPath(random, (from) => {
      const to = pathFrom(random);
      if (to === from) return;
      const change = (all: Map<string, FileModel>): void => {
        const file = all.get(from) as FileModel;
        // Two names of one file stay.
        if (all.get(to) === file) return;
        all.set(to, file);
        all.delete(from);
      };
      this.#name(change, () => fs.renameSync(this.#at(from), this.#at(to)));
    });
  }

  link(random: Random): void {
    this.#withPath(random, (from) => {
      const to = pathFrom(random);
      const file = this.#model.file(from);
      if (file === undefined || this.#model.file(to) !== undefined) return;
      this.#name(
        (all) => all.set(to, file),
        () => fs.linkSync(this.#at(from), this.#at(to)),
      );
    });
  }

  #close(at: number): void {
    const [{ fd, writes }] = this.#handles.splice(at, 1) as [Handle];
    fs.closeSync(fd);
    if (writes) this.#model.contentsLast();
  }

  #name(change: (all: Map<string, FileModel>) => void, act: () => void): void {
    this.#model.changeNames(change);
    act();
    this.#model.namesLast();
  }

  #withPath(random: Random, work: (path: string) => void): void {
    const { paths } = this.#model;
    if (paths.length > 0) work(random.pick(paths));
  }

  #withHandle(random: Random, work: (handle: Handle) => void): void {
    if (this.#handles.length > 0) work(random.pick(this.#handles));
  }

  #withWriter(random: Random, work: (handle: Handle) => void): void {
    const writers = this.#handles.filter(({ writes }) => writes);
    if (writers.length > 0) work(random.pick(writers));
  }

  #found(): Map<string, Buffer> {
    const entries = fs.readdirSync(this.#root, { recursive: true, encoding: 'utf8' });
    const paths = entries.filter((path) => !directories.includes(path));
    return new Map(paths.map((path) => [path, fs.readFileSync(this.#at(path))]));
  }

  #at(path: string): string {
    return join(this.#root, path);
  }
}

type Operation = readonly [name: string, weight: number, run: (workload: Workload, random: Random) => void];

const operations: readonly Operation[] = [
  ['open', 40, (on, random) => on.open(random)],
  ['close', 20, (on, random) => on.close(random)],
  ['write', 130, (on, random) => on.write(random)],
  ['read', 70, (on, random) => on.read(random)],
  ['write to a mapping', 40, (on, random) => on.writeMapped(random)],
  ['read from a mapping', 30, (on, random) => on.readMapped(random)],
  ['truncate', 25, (on, random) => on.truncate(random)],
  ['punch', 30, (on, random) => on.punch(random)],
  ['zero', 15, (on, random) => on.zero(random)],
  ['extend', 10, (on, random) => on.extend(random)],
  ['sync', 12, (on, random) => on.sync(random)],
  ['drop caches', 10, (on, random) => on.dropCaches(random)],
  ['unlink', 6, (on, random) => on.unlink(random)],
  ['rename', 8, (on, random) => on.rename(random)],
  ['link', 3, (on, random) => on.link(random)],
];
/** Each as often as it weighs. */
const drawn = operations.flatMap((operation) => new Array<Operation>(operation[1]).fill(operation));

function expectSame(how: string, offset: number, came: Buffer, expected: Buffer): void {
  if (came.equals(expected)) return;
  const at = came.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(`${how} at ${offset}: ${came.length} bytes instead of ${expected.length}, different from ${at} on`);
}

/** Closing a file of a mount that is dead fails, and closes it. */
function closeDead(fd: number): void {
  try {
    fs.closeSync(fd);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
  }
}
