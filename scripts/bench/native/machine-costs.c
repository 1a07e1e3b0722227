/*
 * What this machine itself takes for a little of each thing that file systems and restores do much of.
 *
 *     machine-costs FILE
 *
 * FILE is a page or more that is written and then read. Prints two lines of JSON: seconds for the cheapest system call,
 * for a pread of 4 KiB from the page cache and for the first touch of an anonymous page, and bytes per second of
 * copying memory. The first line has the best of 9 short series, which is what the machine can do; the second one has
 * their medians, which tell what other work leaves of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SERIES = 9, CALLS = 2000, PAGES = 256, COPIED = 8 << 20 };

static int fd;
static char page[PAGE], *from, *to;

static void fail(const char *what)
{
	fprintf(stderr, "machine-costs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double system_call(void)
{
	double began = now();
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (now() - began) / CALLS;
}

static double cached_read(void)
{
	double began = now();
	for (int i = 0; i < CALLS; i++)
		if (pread(fd, page, PAGE, 0) != PAGE)
			fail("pread");
	return (now() - began) / CALLS;
}

static double first_touch(void)
{
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Kernels without huge pages refuse the advice, and do not need it. */
	if (memory == MAP_FAILED || (madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE) && errno != EINVAL))
		fail("memory");
	double began = now();
	for (size_t i = 0; i < PAGES; i++)
		((volatile char *)memory)[i * PAGE] = 1;
	double seconds = now() - began;
	munmap(memory, PAGES * PAGE);
	return seconds / PAGES;
}

static double copy(void)
{
	double began = now();
	memcpy(to, from, COPIED);
	__asm__ volatile("" : : "r"(to) : "memory");
	return now() - began;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(double (*cost)(void), double *best, double *middle)
{
	double all[SERIES];
	cost();
	for (int i = 0; i < SERIES; i++)
		all[i] = cost();
	qsort(all, SERIES, sizeof *all, ascending);
	*best = all[0];
	*middle = all[SERIES / 2];
}

static void print(const double seconds[4])
{
	printf("{\"systemCall\":%.4g,\"cachedRead\":%.4g,", seconds[0], seconds[1]);
	printf("\"firstTouch\":%.4g,\"memoryCopy\":%.4g}\n", seconds[2], COPIED / seconds[3]);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: machine-costs FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	from = malloc(COPIED);
	to = malloc(COPIED);
	if (fd < 0 || pwrite(fd, page, PAGE, 0) != PAGE || !from || !to)
		fail(argv[1]);
	memset(from, 1, COPIED);
	memset(to, 1, COPIED);
	double (*const costs[4])(void) = { system_call, cached_read, first_touch, copy };
	double best[4], middle[4];
	for (int i = 0; i < 4; i++)
		measure(costs[i], &best[i], &middle[i]);
	print(best);
	print(middle);
	return 0;
}
