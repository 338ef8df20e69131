/*
 * What the two load generators share: their options, the clock, when to stop, and what they print at the end.
 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "message.h"

enum { EVENTS = 256, TICK_MS = 10 };

struct load {
  struct sockaddr_in address;
  struct messages messages;
  int clients;          /* -c: each has one message on its way at a time */
  int64_t duration_ns;  /* -d, in seconds; 0: until SIGINT or SIGTERM */
  int64_t warm_up_ns;   /* -w, in seconds: what is not counted at the beginning */
  int64_t timeout_ns;   /* -T, in seconds: after it a reply is no longer waited for */
  int is_idle;          /* -i: one message each, then silence */
  struct histogram times;
};

static struct load load = {.messages.size = 64, .clients = 64, .duration_ns = 1000000000, .timeout_ns = 5000000000};
static volatile sig_atomic_t stop;

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

static int64_t seconds(const char *text) { return (int64_t)(atof(text) * 1e9); }

/* Reads the options into `load`; ends with a usage line if they do not parse. */
static void load_options(int argc, char **argv, const char *usage) {
  for (int option; (option = getopt(argc, argv, "c:s:d:w:T:t:i")) != -1;) {
    if (option == 'c') load.clients = atoi(optarg);
    else if (option == 's') load.messages.size = strtoul(optarg, NULL, 10);
    else if (option == 'd') load.duration_ns = seconds(optarg);
    else if (option == 'w') load.warm_up_ns = seconds(optarg);
    else if (option == 'T') load.timeout_ns = seconds(optarg);
    else if (option == 't') load.messages.is_text = 1, load.messages.is_upper = strcmp(optarg, "upper") == 0;
    else if (option == 'i') load.is_idle = 1;
    else optind = argc + 1;
  }
  int port = optind == argc - 1 ? atoi(argv[optind]) : 0;
  if (port <= 0 || port > 65535 || load.clients < 1 || load.messages.size < 1) {
    fprintf(stderr, "usage: %s\n", usage);
    exit(2);
  }
  load.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  load.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (messages_init(&load.messages) < 0) fail("malloc");
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static void print_ms(const char *key, double ns) { printf("\"%s\":%.4f,", key, ns / 1e6); }

/* Prints what was measured in `elapsed_ns`, as the first keys of a JSON object; the caller prints the rest of it. */
static void print_times(int64_t elapsed_ns) {
  const struct histogram *times = &load.times;
  printf("{\"messages\":%llu,", (unsigned long long)times->count);
  print_ms("durationMs", elapsed_ns);
  printf("\"messagesPerSecond\":%.1f,", elapsed_ns > 0 ? times->count * 1e9 / elapsed_ns : 0);
  print_ms("minMs", times->least);
  print_ms("meanMs", times->count > 0 ? times->sum / times->count : 0);
  print_ms("p50Ms", histogram_percentile(times, 50));
  print_ms("p90Ms", histogram_percentile(times, 90));
  print_ms("p99Ms", histogram_percentile(times, 99));
  print_ms("p999Ms", histogram_percentile(times, 99.9));
  print_ms("maxMs", times->most);
}
