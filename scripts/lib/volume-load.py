#!/usr/bin/env python3
"""What SQLite and plain files do to a volume, without an end, for scripts/soak-volume.ts.

    volume-load.py sqlite MODE FILE     transactions; prints the number of each that was committed
    volume-load.py sqlite-check FILE N  fails unless the database is whole and has transaction N
    volume-load.py files DIRECTORY      files written, rewritten, mapped, punched and removed; prints the number of rounds
"""
import ctypes
import fcntl
import hashlib
import mmap
import os
import random
import sqlite3
import sys

MIB = 1 << 20
PUNCH_HOLE, KEEP_SIZE = 2, 1
libc = ctypes.CDLL(None, use_errno=True)


def opened(path):
    return sqlite3.connect(path, isolation_level=None, timeout=60)


def report(number):
    print(number, flush=True)


def check_database(db):
    (verdict,), = db.execute('pragma integrity_check').fetchall()
    assert verdict == 'ok', verdict
    ((number, total),) = db.execute('select number, total from state').fetchall()
    ((stored,),) = db.execute('select coalesce(sum(length(data)), 0) from rows').fetchall()
    assert stored == total, f'{stored} bytes in rows, {total} expected'
    return number


def sqlite(mode, path):
    db = opened(path)
    db.execute(f'pragma journal_mode={mode}')
    db.execute('pragma synchronous=full')
    db.execute('create table if not exists rows (id integer primary key, data blob)')
    db.execute('create index if not exists by_data on rows (substr(data, 1, 16))')
    db.execute('create table if not exists state (number integer, total integer)')
    db.execute('insert into state select 0, 0 where not exists (select 1 from state)')
    if os.fork() == 0:
        while True:
            other = opened(path)
            other.execute('begin')
            check_database(other)
            other.execute('commit')
            other.close()
    while True:
        db.execute('begin immediate')
        for _ in range(random.randrange(1, 40)):
            data = os.urandom(random.choice((10, 300, 3000, 30000)))
            db.execute('insert into rows (data) values (?)', (data,))
        db.execute('delete from rows where id in (select id from rows order by random() limit ?)',
                   (random.randrange(50),))
        db.execute('update rows set data = zeroblob(length(data)) where id % 97 = ?', (random.randrange(97),))
        db.execute('update state set number = number + 1, total = (select coalesce(sum(length(data)), 0) from rows)')
        db.execute('commit')
        ((number,),) = db.execute('select number from state').fetchall()
        report(number)
        if number % 100 == 0:
            db.execute('delete from rows where id % 2 = 0')
            db.execute('update state set total = (select coalesce(sum(length(data)), 0) from rows)')
            db.execute('vacuum')


def sqlite_check(path, at_least):
    number = check_database(opened(path))
    assert number >= at_least, f'transaction {at_least} was committed, and the database has only {number}'


def punch(fd, offset, length):
    if libc.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), 'fallocate')


def files(directory):
    number = 0
    while True:
        path = os.path.join(directory, 'large')
        with open(path, 'wb+', buffering=0) as file:
            expected = bytearray(os.urandom(32 * MIB))
            file.write(expected)
            for _ in range(8):
                offset = random.randrange(31 * MIB)
                data = os.urandom(random.randrange(1, MIB))
                expected[offset:offset + len(data)] = data
                os.pwrite(file.fileno(), data, offset)
                os.fsync(file.fileno())
            with mmap.mmap(file.fileno(), len(expected)) as mapped:
                offset = random.randrange(31 * MIB)
                mapped[offset:offset + 5000] = expected[offset:offset + 5000] = os.urandom(5000)
                mapped.flush()
            hole = random.randrange(16 * MIB)
            punch(file.fileno(), hole, 8 * MIB)
            expected[hole:hole + 8 * MIB] = bytes(8 * MIB)
            os.rename(path, path + '.again')
            os.link(path + '.again', path)
            os.unlink(path + '.again')
            os.unlink(path)
            os.fsync(file.fileno())
            file.seek(0)
            found = hashlib.sha256()
            while piece := file.read(MIB):
                found.update(piece)
            assert found.digest() == hashlib.sha256(expected).digest(), 'the file is another one'
        many = os.path.join(directory, 'many')
        os.mkdir(many)
        for name in range(1000):
            with open(os.path.join(many, f'{name}'), 'wb') as file:
                fcntl.lockf(file, fcntl.LOCK_EX)
                file.write(os.urandom(name))
        assert len(os.listdir(many)) == 1000
        for name in os.listdir(many):
            os.unlink(os.path.join(many, name))
        os.rmdir(many)
        number += 1
        report(number)


what, *args = sys.argv[1:]
if what == 'sqlite':
    sqlite(*args)
elif what == 'sqlite-check':
    sqlite_check(args[0], int(args[1]))
else:
    files(args[0])
