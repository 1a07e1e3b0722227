// What programs do to a volume in scripts/soak-volume.ts, and how it is looked at afterwards.
import fs from 'node:fs';
import { join } from 'node:path';
import { bash, type Command, run } from './commands.ts';

/** Programs that work on a volume. */
export interface Load {
  readonly name: string;
  /** Makes what it works on. Is called once. */
  prepare(): Promise<void>;
  /** What runs until it is killed. It prints a line for each thing that it was told to be durable. */
  readonly work: Command;
  /** Looks at what is there, after the work was ended or the daemon was killed. @param last that the work printed */
  check(last: string | undefined): Promise<void>;
}

const helper = join(import.meta.dirname, 'volume-load.py');
const python = (...args: readonly string[]): Command => ['/usr/bin/python3', helper, ...args];

function sqlite(volume: string, mode: string): Load {
  const file = join(volume, `${mode}.db`);
  return {
    name: `SQLite, ${mode}`,
    prepare: async () => undefined,
    work: python('sqlite', mode, file),
    check: async (last) => void (await run(...python('sqlite-check', file, last ?? '0'))),
  };
}

function plainFiles(volume: string): Load {
  const directory = join(volume, 'files');
  return {
    name: 'files',
    prepare: async () => void fs.mkdirSync(directory),
    work: python('files', directory),
    check: async () => {
      for (const name of fs.readdirSync(directory)) fs.rmSync(join(directory, name), { recursive: true });
    },
  };
}

const GIT = 'git -c user.name=x -c user.email=x@example.org -c core.fsync=all -c gc.auto=0';

function git(volume: string): Load {
  const repository = join(volume, 'git');
  return {
    name: 'git',
    prepare: async () => void (await run('git', 'init', '-q', '-b', 'main', repository)),
    work: bash(
      `cd "$1"; shopt -s nullglob
       for ((i = 0; ; i++)); do
         for n in 1 2 3 4 5; do head -c $((RANDOM * 8)) /dev/urandom >"file-$((RANDOM % 100))"; done
         ${GIT} add -A; ${GIT} commit -qm "$i"; git rev-parse HEAD
         ((i % 20 == 19)) || continue
         rm -rf ../clone; git clone -q "file://$PWD" ../clone; git -C ../clone fsck --strict --full 2>/dev/null
         ${GIT} checkout -q --orphan next; ${GIT} commit -qm "begun anew"; ${GIT} branch -qM main; git rev-parse HEAD
         ${GIT} reflog expire --expire=now --all; ${GIT} gc -q --prune=now; git fsck --strict --full 2>/dev/null
       done`,
      repository,
    ),
    check: async (last) =>
      void (await run(
        ...bash(
          // What a killed git leaves. A commit that was begun anew has no history that leads to it.
          `cd "$1"; rm -f .git/*.lock .git/gc.pid .git/refs/heads/*.lock; rm -rf ../clone
           git fsck --strict --full; [ -z "$2" ] || git cat-file -e "$2^{commit}"`,
          repository,
          last ?? '',
        ),
      )),
  };
}

/** Where Debian has the programs of a server of PostgreSQL. */
const POSTGRES = '/usr/lib/postgresql';
const CLIENTS = 4;
const SECONDS = 20;

function postgresBin(): string | undefined {
  if (!fs.existsSync(POSTGRES)) return undefined;
  const [version] = fs.readdirSync(POSTGRES).sort().reverse();
  return version === undefined ? undefined : join(POSTGRES, version, 'bin');
}

function postgres(volume: string, bin: string): Load {
  const data = join(volume, 'postgres');
  const as = (script: string, ...args: readonly string[]): Command => [
    ...(['runuser', '-u', 'postgres', '--'] as const),
    ...bash(`export PATH="${bin}:$PATH" PGHOST=/tmp PGPORT=55432 PGDATA="$1"; cd /; ${script}`, data, ...args),
  ];
  // A server whose daemon was killed is killed as well; what it had in /tmp would be in the way of the next one.
  const serve = `rm -f /tmp/.s.PGSQL.55432*; pg_ctl -s -w -l "$PGDATA.log" -o "-c listen_addresses= -k /tmp" start`;
  const sums = `psql -AtXq -c "select count(*) from pgbench_history" -c "select
    (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from pgbench_history) and
    (select sum(bbalance) from pgbench_branches) = (select coalesce(sum(delta), 0) from pgbench_history) and
    (select sum(tbalance) from pgbench_tellers) = (select coalesce(sum(delta), 0) from pgbench_history)"`;
  return {
    name: 'PostgreSQL',
    prepare: async () => {
      await run('install', '-d', '-o', 'postgres', '-m', '700', data);
      await run('install', '-o', 'postgres', '-m', '600', '/dev/null', `${data}.log`);
      const initialize = `initdb -A trust --data-checksums >/dev/null; ${serve}; pgbench -iq -s 3; pg_ctl -s -m fast stop`;
      await run(...as(initialize));
    },
    work: as(
      `${serve}; for ((i = 0; ; i++)); do
         pgbench -n -c ${CLIENTS} -j 2 -T ${SECONDS} >/dev/null; psql -AtXq -c "select count(*) from pgbench_history"
         ((i % 5 != 4)) || psql -qX -c "vacuum full" -c "reindex database concurrently postgres"
       done`,
    ),
    check: async (last) =>
      void (await run(
        ...as(
          `${serve}; { read -r count; read -r equal; } < <(${sums})
           [ "$equal" = t ] || { echo "sums differ" >&2; exit 1; }
           ((count >= \${2:-0})) || { echo "$count transactions, $2 were committed" >&2; exit 1; }
           pg_amcheck --install-missing --heapallindexed --all; pg_ctl -s -m fast stop; pg_checksums --check >/dev/null`,
          last ?? '0',
        ),
      )),
  };
}

/** Returns the loads that this machine has the programs for. @param volume a directory of a mount */
export function volumeLoads(volume: string): readonly Load[] {
  const bin = postgresBin();
  return [
    sqlite(volume, 'wal'),
    sqlite(volume, 'delete'),
    git(volume),
    plainFiles(volume),
    ...(bin === undefined ? [] : [postgres(volume, bin)]),
  ];
}
