/**
 * - `text`: time, program with pid, level, text, as in files of syslog.
 * - `json`: an object a line.
 * - `journal`: as `text`, after the priority that journald takes from what a service prints (sd-daemon(3)).
 */
export const logFormats = ['text', 'json', 'journal'] as const;
export type LogFormat = (typeof logFormats)[number];
