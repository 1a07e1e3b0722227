/*
 * Random reads that never hit a page twice: READERS threads, each with its own descriptor, read 4 KiB blocks of FILE in
 * an order shuffled from SEED, for SECONDS or until every block was read once.
 *
 *     random-reads FILE READERS SECONDS SEED [BEFORE]
 *
 * For BEFORE seconds such reads come first that do not count. A pass that has read every block drops them from the page
 * cache and begins again; so does the end of these reads.
 * Prints reads per second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096 };

struct reader {
	pthread_t thread;
	int fd;
	const uint32_t *blocks;
	size_t count;
	size_t done;
	double began, ended;
};

static pthread_barrier_t start;
static double seconds, before;

static void fail(const char *what)
{
	fprintf(stderr, "random-reads: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void read_block(const struct reader *self, char *buffer, uint32_t block)
{
	if (pread(self->fd, buffer, BLOCK, (off_t)block * BLOCK) != BLOCK)
		fail("pread");
}

static void forget(const struct reader *self)
{
	if (posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED))
		fail("forget");
}

static void *read_blocks(void *argument)
{
	struct reader *self = argument;
	char *buffer = aligned_alloc(BLOCK, BLOCK);
	if (!buffer)
		fail("memory");
	pthread_barrier_wait(&start);
	for (double end = now() + before; now() < end; forget(self))
		for (size_t i = 0; i < self->count && now() < end; i++)
			read_block(self, buffer, self->blocks[self->count - 1 - i]);
	pthread_barrier_wait(&start);
	self->began = now();
	double deadline = self->began + seconds;
	while (self->done < self->count && now() < deadline) {
		read_block(self, buffer, self->blocks[self->done++]);
	}
	self->ended = now();
	free(buffer);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: random-reads FILE READERS SECONDS SEED [BEFORE]\n");
		return 2;
	}
	size_t readers = strtoul(argv[2], NULL, 10);
	seconds = strtod(argv[3], NULL);
	before = argc == 6 ? strtod(argv[5], NULL) : 0;
	uint64_t random = strtoull(argv[4], NULL, 10);

	struct stat status;
	if (stat(argv[1], &status))
		fail(argv[1]);
	size_t count = (size_t)status.st_size / BLOCK;
	uint32_t *blocks = malloc(count * sizeof *blocks);
	struct reader *all = calloc(readers, sizeof *all);
	if (!readers || count < readers || !blocks || !all)
		fail("too little to read");
	for (size_t i = 0; i < count; i++) {
		size_t j = next_random(&random) % (i + 1);
		blocks[i] = blocks[j];
		blocks[j] = (uint32_t)i;
	}

	pthread_barrier_init(&start, NULL, (unsigned)readers + 1);
	for (size_t i = 0; i < readers; i++) {
		all[i].blocks = blocks + count / readers * i;
		all[i].count = count / readers;
		all[i].fd = open(argv[1], O_RDONLY | O_CLOEXEC);
		/* Without this the kernel reads ahead, and later reads are answered from its cache. */
		if (all[i].fd < 0 || posix_fadvise(all[i].fd, 0, 0, POSIX_FADV_RANDOM))
			fail(argv[1]);
		if (pthread_create(&all[i].thread, NULL, read_blocks, &all[i]))
			fail("thread");
	}
	pthread_barrier_wait(&start);
	pthread_barrier_wait(&start);
	/* The readers' own clocks count: this thread may wake after they have ended. */
	double began = 0, ended = 0;
	size_t done = 0;
	for (size_t i = 0; i < readers; i++) {
		pthread_join(all[i].thread, NULL);
		done += all[i].done;
		if (i == 0 || all[i].began < began)
			began = all[i].began;
		if (i == 0 || all[i].ended > ended)
			ended = all[i].ended;
	}
	printf("%.1f\n", (double)done / (ended - began));
	return 0;
}
