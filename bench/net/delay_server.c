/*
 * An echo server on 127.0.0.1 that holds each message back for a random time, 4 ms in the mean and exponentially distributed. With it
 * round trips take long enough, and vary enough, that what measures them must show the same percentiles whatever it costs itself.
 *
 *   delay_server tcp|udp PORT
 *
 * A thread sleeps for each message, so it is for a few clients: those of TCP get one each, those of UDP share THREADS of them.
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 64, BUFFER_SIZE = 65536 };
static const double MEAN_NS = 4e6;

static void hold(unsigned *seed) {
  double uniform = (rand_r(seed) + 1.0) / (RAND_MAX + 2.0), ns = -log(uniform) * MEAN_NS;
  struct timespec time = {(time_t)(ns / 1e9), (long)ns % 1000000000};
  nanosleep(&time, NULL);
}

static void *serve_connection(void *argument) {
  int fd = (intptr_t)argument, on = 1;
  unsigned seed = fd;
  char buffer[BUFFER_SIZE];
  ssize_t got;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
    hold(&seed);
    if (send(fd, buffer, got, MSG_NOSIGNAL) != got) break;
  }
  close(fd);
  return NULL;
}

static void *serve_datagrams(void *argument) {
  int fd = (intptr_t)argument;
  unsigned seed = (unsigned)pthread_self();
  char buffer[BUFFER_SIZE];
  for (;;) {
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
    hold(&seed);
    if (got >= 0) sendto(fd, buffer, got, 0, (struct sockaddr *)&from, length);
  }
  return NULL;
}

static void start(void *(*body)(void *), int fd) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, (void *)(intptr_t)fd) != 0) {
    fputs("delay_server: no more threads\n", stderr);
    exit(2);
  }
  pthread_detach(thread);
}

int main(int argc, char **argv) {
  int is_udp = argc == 3 && strcmp(argv[1], "udp") == 0, port = argc == 3 ? atoi(argv[2]) : 0, on = 1;
  if (port == 0) {
    fputs("usage: delay_server tcp|udp PORT\n", stderr);
    return 2;
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || (!is_udp && listen(fd, SOMAXCONN) < 0)) {
    perror("delay_server");
    return 2;
  }
  if (is_udp) {
    for (int i = 0; i < THREADS; i++) start(serve_datagrams, fd);
    pause();
  }
  for (;;) {
    int connection = accept(fd, NULL, NULL);
    if (connection >= 0) start(serve_connection, connection);
  }
}
