import { accessSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/commands.ts';

/**
 * A program that holds records. Its scripts see $state, a directory that has the same contents when it is restored as
 * when it was dumped; $records, a file of records of JSON; $tools, a directory for what is compiled.
 */
export interface Program {
  readonly name: string;
  /** Files without which it takes no part. */
  readonly needs: readonly string[];
  /** Bash: starts it in the background, leaves its pid in $!, and returns when it holds the records. */
  readonly start: string;
  /** Bash: has the process $1 read all that it holds; prints what tells whether that is right. */
  readonly readAll: string;
}

const sources = join(import.meta.dirname, 'programs');
const postgres = '/usr/lib/postgresql/15/bin';

/** No descriptor of the shell's, and a session of its own, as criu needs it. */
const quietly = '</dev/null >/dev/null 2>&1 &';

const untilReady = 'until [ -e "$state/ready" ]; do kill -0 $!; sleep 0.05; done';

export const programs: readonly Program[] = [
  {
    name: 'Python',
    needs: ['/usr/bin/python3'],
    start: `mkfifo "$state/reports"
      setsid /usr/bin/python3 ${sources}/holder.py "$records" "$state/ready" "$state/reports" ${quietly}
      ${untilReady}`,
    readAll: 'kill -USR1 "$1"; read -r sum <"$state/reports"; echo "$sum"',
  },
  {
    name: 'JVM',
    needs: ['/usr/bin/java', '/usr/bin/javac'],
    start: `mkfifo "$state/reports"
      [ -e "$tools/Holder.class" ] || javac -nowarn -d "$tools" ${sources}/Holder.java
      setsid java -XX:-UsePerfData -cp "$tools" Holder "$records" "$state/ready" "$state/reports" ${quietly}
      ${untilReady}`,
    readAll: 'kill -USR2 "$1"; read -r sum <"$state/reports"; echo "$sum"',
  },
  {
    name: 'redis',
    needs: ['/usr/bin/redis-server', '/usr/bin/redis-cli'],
    start: `cd "$state"
      setsid redis-server --port 0 --unixsocket "$state/socket" --save '' --enable-debug-command yes ${quietly}
      until redis-cli -s "$state/socket" ping >/dev/null 2>&1; do kill -0 $!; sleep 0.05; done
      awk '{ gsub(/["\\\\]/, "\\\\\\\\&"); printf "SET record:%d \\"%s\\"\\n", NR, $0 }' "$records" |
        redis-cli -s "$state/socket" --pipe >/dev/null`,
    readAll: 'redis-cli -s "$state/socket" debug digest',
  },
  {
    name: 'PostgreSQL',
    needs: [`${postgres}/postgres`, '/usr/bin/psql'],
    // Its interlock is shared memory of System V, which criu dumps with a whole namespace only.
    start: `gcc -shared -fPIC -o "$tools/not-root.so" ${sources}/not-root.c
      mkdir "$state/database"; chown 65534 "$state/database"
      export LD_PRELOAD=$tools/not-root.so
      ${postgres}/initdb --no-sync -D "$state/database" -A trust -U postgres >/dev/null
      chown -R 65534 "$state/database"
      setsid unshare --ipc ${postgres}/postgres -D "$state/database" -k "$state/database" -c listen_addresses= \\
        -c dynamic_shared_memory_type=mmap -c shared_buffers=1GB -c huge_pages=off -c autovacuum=off -c fsync=off \\
        -c jit=off ${quietly}
      unset LD_PRELOAD
      ask() { psql -h "$state/database" -U postgres -X -q -A -t -c "$1"; }
      until ask 'select 1' >/dev/null 2>&1; do kill -0 $!; sleep 0.1; done
      ask 'create table records (record jsonb)'
      ask '\\copy records from pstdin csv quote e'"'\\\\x01'"' delimiter e'"'\\\\x02'" <"$records"
      ask 'checkpoint'`,
    readAll: `psql -h "$state/database" -U postgres -X -q -A -t -c \\
      'select count(*), sum(pg_column_size(record)) from records'`,
  },
];

/** Says which file a program lacks, or nothing. */
export function lacking({ needs }: Program): string | undefined {
  return needs.find((path) => {
    try {
      accessSync(path);
      return false;
    } catch {
      return true;
    }
  });
}

/** Makes the records that the programs hold. */
export async function makeRecords(count: number, path: string): Promise<void> {
  await run(
    'bash',
    '-c',
    'exec /usr/bin/python3 "$1" "$2" >"$3"',
    'bash',
    join(sources, 'records.py'),
    `${count}`,
    path,
  );
}
