/*
 * Makes COUNT files of BYTES bytes each in DIRECTORY: create, write, close; with "fsync" each is synced before it is
 * closed.
 *
 *     small-files DIRECTORY COUNT BYTES [fsync]
 *
 * Prints files per second. The contents are the same each time, and cannot be compressed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "small-files: %s: %s\n", what, strerror(errno));
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

int main(int argc, char **argv)
{
	int sync = argc == 5 && strcmp(argv[4], "fsync") == 0;
	if (argc != 4 + sync) {
		fprintf(stderr, "usage: small-files DIRECTORY COUNT BYTES [fsync]\n");
		return 2;
	}
	if (chdir(argv[1]))
		fail(argv[1]);
	uint64_t count = strtoull(argv[2], NULL, 10), random = 0;
	size_t words = strtoull(argv[3], NULL, 10) / sizeof random, size = words * sizeof random;
	uint64_t *content = malloc(size);
	if (!count || !words || !content)
		fail("too little to write");
	double began = now();
	for (uint64_t i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof name, "file-%" PRIu64 ".img", i);
		for (size_t word = 0; word < words; word++)
			content[word] = next_random(&random);
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, content, size) != (ssize_t)size || (sync && fsync(fd)) || close(fd))
			fail(name);
	}
	printf("%.1f\n", (double)count / (now() - began));
	return 0;
}
