/*
 * spawn_once COMMAND...: starts the command, waits for it, and exits as it did. This is the least that a program can do that
 * starts another, and the measure for conc spawn.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
  pid_t pid;
  int status;
  if (argc < 2) {
    fputs("usage: spawn_once COMMAND...\n", stderr);
    return 125;
  }
  int error = posix_spawnp(&pid, argv[1], NULL, NULL, argv + 1, environ);
  if (error != 0) {
    fprintf(stderr, "spawn_once: %s: %s\n", argv[1], strerror(error));
    return 127;
  }
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 125;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
