/*
 * Processes worth a checkpoint: one parent and its children, each with KIB kibibytes that no page shares with another.
 *
 *     process-tree STATE_DIRECTORY PROCESSES KIB
 *
 * STATE_DIRECTORY/ready appears when all have filled their memory. SIGUSR1 to the parent has each read all of its
 * memory, and then compare it with what it wrote: each writes the line "TIME ok" or "TIME bad" to the named pipe
 * STATE_DIRECTORY/reports. TIME is when it had read everything, in seconds since 1970: a clock that a restore leaves as
 * it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "process-tree: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64 of the index (Steele, Lea, Flood 2014): incompressible, and any word can be computed alone. */
static uint64_t pattern(uint64_t index)
{
	uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void make(const char *directory, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || close(fd))
		fail(path);
}

/* A line is shorter than PIPE_BUF: those of several processes do not mix. */
static void report(const char *directory, const struct timespec *time, int intact)
{
	char path[4096], line[64];
	snprintf(path, sizeof path, "%s/reports", directory);
	int length = snprintf(line, sizeof line, "%lld.%09ld %s\n", (long long)time->tv_sec, time->tv_nsec, intact ? "ok" : "bad");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, (size_t)length) != length || close(fd))
		fail(path);
}

static void read_all(const uint64_t *memory, uint64_t words)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < words; i++)
		sum ^= memory[i];
	__asm__ volatile("" : : "r"(sum));
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: process-tree STATE_DIRECTORY PROCESSES KIB\n");
		return 2;
	}
	uint64_t processes = strtoull(argv[2], NULL, 10), words = strtoull(argv[3], NULL, 10) << 7;
	pid_t *children = calloc(processes, sizeof *children);
	int filled[2];
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	if (!children || sigprocmask(SIG_BLOCK, &wanted, NULL) || pipe(filled))
		fail("start");

	/* Forked before anything is filled, so that they share nothing. */
	uint64_t self = 0;
	for (uint64_t i = 1; i < processes && self == 0; i++) {
		children[i] = fork();
		if (children[i] < 0)
			fail("fork");
		if (children[i] == 0)
			self = i;
	}
	uint64_t *memory = mmap(NULL, words * sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	for (uint64_t i = 0; i < words; i++)
		memory[i] = pattern(self * words + i);

	if (self != 0 && write(filled[1], "x", 1) != 1)
		fail("pipe");
	for (uint64_t i = 1; self == 0 && i < processes; i++)
		if (read(filled[0], &(char){ 0 }, 1) != 1)
			fail("pipe");
	close(filled[0]);
	close(filled[1]);
	if (self == 0)
		make(argv[1], "ready");

	for (;;) {
		if (sigwaitinfo(&wanted, NULL) < 0)
			continue;
		for (uint64_t i = 1; self == 0 && i < processes; i++)
			kill(children[i], SIGUSR1);
		struct timespec done;
		read_all(memory, words);
		clock_gettime(CLOCK_REALTIME, &done);
		int intact = 1;
		for (uint64_t i = 0; i < words; i++)
			intact &= memory[i] == pattern(self * words + i);
		report(argv[1], &done, intact);
	}
}
