/**
 * - `text`: time, program with pid, level, text, as in files of syslog.
 * - `json`: an object a line.
 * - `journal`: the text, after the priority that journald takes from what a service prints (sd-daemon(3)). It knows
 *   the time, the program and the pid itself, as logger(1) does, which takes the same with `--prio-prefix`.
 */
export const logFormats = ['text', 'json', 'journal'] as const;
export type LogFormat = (typeof logFormats)[number];
