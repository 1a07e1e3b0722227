/*
 * Has PostgreSQL, which refuses to run as root, believe that it does not. criu reads the limits of what it dumps, which
 * for another user's processes needs CAP_SYS_RESOURCE; root of many containers and virtual machines lacks it.
 */
#include <sys/types.h>

enum { NOBODY = 65534 };

uid_t getuid(void)
{
	return NOBODY;
}

uid_t geteuid(void)
{
	return NOBODY;
}
