/** The descriptors that a daemon is started with, besides the standard ones. */

/** A socket over which the daemon gets its configuration, and sends its end of the channel for the key. */
export const ORDERS_FD = 3;
/** A socket over which the daemon reports, line by line. */
export const REPORT_FD = 4;

/** Only of a daemon that was started apart from the mount namespace of its caller: that namespace, and its root. */
export const CALLER_NAMESPACE_FD = 5;
export const CALLER_ROOT_FD = 6;
