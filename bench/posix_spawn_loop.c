/*
 * posix_spawn_loop SLOTS COMMAND...: runs the command for every line of stdin, SLOTS at a time. The word {} stands for the
 * line. This is the least that a program can do to keep that many children running, and the measure for conc pool.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* Waits for one child, and says whether it failed. */
static int wait_for_one(void) {
  int status;
  while (waitpid(-1, &status, 0) < 0) {
    if (errno == EINTR) continue;
    perror("waitpid");
    exit(2);
  }
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(int argc, char **argv) {
  int slots = argc > 2 ? atoi(argv[1]) : 0;
  if (slots < 1) {
    fputs("usage: posix_spawn_loop SLOTS COMMAND...\n", stderr);
    return 2;
  }
  char **words = argv + 2;
  char **filled = calloc(argc - 1, sizeof *filled);
  posix_spawn_file_actions_t actions;
  if (filled == NULL || posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) != 0) {
    fputs("posix_spawn_loop: out of memory\n", stderr);
    return 2;
  }
  char *line = NULL;
  size_t size = 0;
  ssize_t length;
  int running = 0, failed = 0;
  while ((length = getline(&line, &size, stdin)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    for (int i = 0; words[i] != NULL; i++) filled[i] = strcmp(words[i], "{}") == 0 ? line : words[i];
    if (running == slots) {
      failed += wait_for_one();
      running--;
    }
    pid_t pid;
    int error = posix_spawnp(&pid, filled[0], &actions, NULL, filled, environ);
    if (error != 0) {
      fprintf(stderr, "posix_spawn_loop: %s: %s\n", filled[0], strerror(error));
      return 2;
    }
    running++;
  }
  for (; running > 0; running--) failed += wait_for_one();
  return failed > 0;
}
